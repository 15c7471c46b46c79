import type { FanfareError } from '../../shared/errors.ts'
import type { HubFrame } from '../../shared/frames.ts'
import type { DeliveryId } from '../broker/broker.ts'
import type { Lease } from './leases.ts'

/** Where a consumer's frames go. */
export interface ConsumerOutlet {
  /** Nothing waits to be written. */
  readonly keepsUp: boolean
  send(frame: HubFrame): void
  /** The consumer has something: `pull` it when there is room. */
  feedReady(): void
}

/** A delivery that a consumer gave up for another one; undefined: its client has begun it, and keeps it. */
export interface GivenUp {
  readonly delivery: DeliveryId | undefined
}

export interface ConsumerOwner<Consumer> {
  /** The number that the next delivery gets: no other of the hub has it. */
  nextDelivery(): number
  creditChanged(queue: string): void
  /** `look` may have something to do then. */
  lookBy(consumer: Consumer, time: number): void
  /** The time of a delivery is up. `silent`: the consumer has shown no sign of life meanwhile. */
  ranOut(consumer: Consumer, lease: Lease, silent: boolean): void
  /** Takes a message from another consumer; undefined if none has it. */
  reclaim(queue: string, seq: number): GivenUp | undefined
  /** Its queue is gone. */
  failed(consumer: Consumer, error: FanfareError): void
}

export interface ConsumerOptions {
  /** The client's number for it. */
  readonly consumer: number
  readonly queue: string
  readonly prefetch: number
  readonly ackDeadlineMs: number
  /** The client says which deliveries it has begun, and gives back others when it is asked to. */
  readonly begins: boolean
  readonly connection: string
}
