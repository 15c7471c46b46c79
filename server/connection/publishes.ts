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

/** What one connection publishes, and its window: how much of it may be without an answer. What it asks counts too. */
export class Publishes implements ReceiptWindow, Asker {
  /** Without the duplicates. */
  total = 0
  private readonly parts: PublishParts
  /** What the connection is to the broker. */
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

  /** Something that the client has published or asked has no answer yet. */
  get isWaiting(): boolean {
    return this.unanswered > 0
  }

  /** This many places are free again. */
  receiptsSent(count: number): void {
    this.unanswered -= count
  }

  /** What waits for room in a queue waits for a publisher that is no more. */
  release(): void {
    this.parts.broker.withdraw(this.owner)
  }

  published({ seq }: PublishFrame, id: string, kept: Kept | undefined): void {
    if (!kept?.duplicate) this.total++
    // Its place is free when the socket has it.
    this.outbox.sendReceipt(`{"type":"receipt","seq":${seq},${receiptFields(id, kept)}}`)
  }

  notPublished(frame: PublishFrame, error: FanfareError): void {
    this.receiptsSent(1)
    this.refuse(error, frame)
  }
}
