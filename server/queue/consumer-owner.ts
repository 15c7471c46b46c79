import type { FanfareError } from '../../shared/errors.ts'
import type { HubFrame } from '../../shared/frames.ts'
import type { DeliveryId } from '../broker/broker.ts'
import type { Lease } from './leases.ts'

/** Where a consumer's frames go. */
export interface ConsumerOutlet {
  /** Whether nothing waits to be written. */
  readonly keepsUp: boolean
  send(frame: HubFrame): void
  /** The consumer has something: `pull` it when there is room. */
  feedReady(): void
}

/** A delivery that a consumer gave up for another one. Undefined if its client has begun it and keeps it. */
export interface GivenUp {
  readonly delivery: DeliveryId | undefined
}

export interface ConsumerOwner<Consumer> {
  /** The number of the next delivery, unique within the hub. */
  nextDelivery(): number
  creditChanged(queue: string): void
  /** `look` may have something to do at that time. */
  lookBy(consumer: Consumer, time: number): void
  /** The ack deadline of a delivery has passed. `silent`: the consumer has shown no sign of life in the meantime. */
  ranOut(consumer: Consumer, lease: Lease, silent: boolean): void
  /** Takes a message from another consumer; undefined if none has it. */
  reclaim(queue: string, seq: number): GivenUp | undefined
  /** The consumer's queue no longer exists. */
  failed(consumer: Consumer, error: FanfareError): void
}

export interface ConsumerOptions {
  /** The client's number for the consumer. */
  readonly consumer: number
  readonly queue: string
  readonly prefetch: number
  readonly ackDeadlineMs: number
  /** The client reports which deliveries it has begun, and returns others on request. */
  readonly begins: boolean
  readonly connection: string
}
