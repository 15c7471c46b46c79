import type { FanfareError } from '../../shared/errors.ts'
import type { PublishFrame } from '../../shared/frames.ts'
import type { Offsets, Position } from '../../shared/streams.ts'
import type { Draft, Kept } from '../broker/broker.ts'
import { encodeRest, Message } from './message.ts'

/** What became of a publish. */
export interface Outcome {
  readonly id: string
  readonly duplicate: boolean
  /** Where streams have kept it. */
  readonly positions: Readonly<Record<string, Position>> | undefined
}

/** What a publication asks of the topics once it is kept. */
export interface FanOut {
  nextStamp(): number
  fanOut(message: Message): void
}

/** Told what became of a publish: at once, or when it is safe. */
export type Settle = (error: FanfareError | undefined, outcome: Outcome | undefined) => void

/** A publish that has to be kept before anybody gets it. */
export class Publication implements Draft {
  readonly id: string
  readonly ownId: boolean
  readonly topic: string
  readonly key: string | undefined
  readonly expiresAt: number | undefined
  readonly streams: readonly string[]
  private readonly frame: PublishFrame
  private readonly words: readonly string[]
  private readonly rest: string
  private readonly topics: FanOut
  private readonly settle: Settle
  private message: Message | undefined = undefined

  constructor(
    frame: PublishFrame,
    id: string,
    route: { readonly words: readonly string[]; readonly streams: readonly string[] },
    topics: FanOut,
    settle: Settle,
  ) {
    this.id = id
    this.ownId = frame.id !== undefined
    this.topic = frame.topic
    this.key = frame.key
    this.expiresAt = frame.expiresAt
    this.streams = route.streams
    this.frame = frame
    this.words = route.words
    // Now, while its publisher can still be told that it cannot be encoded.
    this.rest = encodeRest(frame)
    this.topics = topics
    this.settle = settle
  }

  encode(publishedAt: number, offsets: Offsets): string | Uint8Array {
    const { frame, id, words, rest } = this
    this.message = new Message(frame, id, words, this.topics.nextStamp(), rest, { offsets, publishedAt })
    return this.message.wire.text ?? (this.message.wire.record as Uint8Array)
  }

  kept({ duplicate, positions }: Kept): void {
    if (this.message) this.topics.fanOut(this.message)
    this.settle(undefined, { id: this.id, duplicate, positions })
  }

  refused(error: FanfareError): void {
    this.settle(error, undefined)
  }
}
