import type { FanfareError } from '../../shared/errors.ts'
import type { HubFrame } from '../../shared/frames.ts'
import type { Lease } from './leases.ts'

/** Where a consumer's frames go. */
export interface ConsumerOutlet {
  /** Nothing waits to be written. */
  readonly keepsUp: boolean
  send(frame: HubFrame): void
  /** The consumer has something: `pull` it when there is room. */
  feedReady(): void
}

export interface ConsumerOwner<Consumer> {
  creditChanged(queue: string): void
  /** `look` may have something to do then. */
  lookBy(consumer: Consumer, time: number): void
  /** The time of a delivery is up. `silent`: the consumer has shown no sign of life meanwhile. */
  ranOut(consumer: Consumer, lease: Lease, silent: boolean): void
  /** Leases a message again that nobody has begun; undefined if that is too late. */
  reclaim(queue: string, seq: number): number | undefined
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
