import { FanfareError } from '../../shared/errors.ts'
import type { PublishFrame } from '../../shared/frames.ts'
import type { Broker, Kept } from '../broker/broker.ts'
import type { Asker } from '../topic/publication.ts'
import { receiptFields } from '../topic/receipt.ts'
import type { Topics } from '../topic/topics.ts'
import type { Outbox } from './outbox.ts'
import type { ReceiptWindow } from './outbox-owner.ts'

/** What the publishes of all connections share. */
export interface PublishParts {
  readonly topics: Topics
  readonly broker: Pick<Broker, 'withdraw'>
  /** Maximum unanswered publishes and requests per connection. */
  readonly window: number
}

/** The publishes of one connection and its window: the maximum number without an answer. Its requests count too. */
export class Publishes implements ReceiptWindow, Asker {
  /** Number of publishes, without duplicates. */
  total = 0
  private readonly parts: PublishParts
  /** Identifies the connection to the broker. */
  private readonly owner: object
  private readonly outbox: Outbox
  private readonly refuse: (error: unknown, frame: unknown) => void
  private unanswered = 0

  constructor(parts: PublishParts, owner: object, outbox: Outbox, refuse: (error: unknown, frame: unknown) => void) {
    this.parts = parts
    this.owner = owner
    this.outbox = outbox
    this.refuse = refuse
    outbox.receiptWindow = this
  }

  publish(frame: PublishFrame, publisher: string | undefined): void {
    this.take()
    try {
      this.parts.topics.publish(frame, publisher, this.owner, this)
    } catch (error) {
      this.receiptsSent(1)
      throw error
    }
  }

  /** Takes a place in the window. Throws `window_exceeded`. */
  take(): void {
    const { window } = this.parts
    if (this.unanswered >= window)
      throw new FanfareError(
        'window_exceeded',
        `${window} publishes and requests are unanswered, the maximum (window). Wait for answers.`,
      )
    this.unanswered++
  }

  /** Whether a publish or request of the client is unanswered. */
  get isWaiting(): boolean {
    return this.unanswered > 0
  }

  /** This many places are free again. */
  receiptsSent(count: number): void {
    this.unanswered -= count
  }

  /** Publishes that wait for space in a queue are dropped, because their publisher is gone. */
  release(): void {
    this.parts.broker.withdraw(this.owner)
  }

  published({ seq }: PublishFrame, id: string, kept: Kept | undefined): void {
    if (!kept?.duplicate) this.total++
    // Its place becomes free when the socket has the receipt.
    this.outbox.sendReceipt(`{"type":"receipt","seq":${seq},${receiptFields(id, kept)}}`)
  }

  notPublished(frame: PublishFrame, error: FanfareError): void {
    this.receiptsSent(1)
    this.refuse(error, frame)
  }
}
