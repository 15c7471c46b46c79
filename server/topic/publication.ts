import { Buffer } from 'node:buffer'
import type { FanfareError } from '../../shared/errors.ts'
import type { PublishFrame } from '../../shared/frames.ts'
import type { Offsets, Position } from '../../shared/streams.ts'
import type { Draft, Kept } from '../broker/broker.ts'
import { encodeRest, Message } from './message.ts'

/** What became of a publish. */
export interface Outcome {
  readonly id: string
  readonly duplicate: boolean
  /** Where streams have kept it, and the queues that it reached; undefined where nothing keeps the topic. */
  readonly positions: Readonly<Record<string, Position>> | undefined
  readonly queues: readonly string[] | undefined
}

/** Told what became of a publish: at once, or when it is safe. */
export type Settle = (error: FanfareError | undefined, outcome: Outcome | undefined) => void

/** A topic, and how much has been published to it. */
export interface CountedTopic {
  readonly words: readonly string[]
  publishedTotal: number
}

/** Where a message goes once it is safe. */
export interface FanOut {
  now(): number
  /** A time that the publisher has given, as the hub counts. */
  ownTime(given: number): number
  nextStamp(): number
  published(message: Message, topic: CountedTopic): void
}

/** Whose publish it is, and where it has to be kept. */
export interface Destination {
  readonly publisher: string | undefined
  readonly topic: CountedTopic
  readonly streams: readonly string[]
  readonly queues: readonly string[]
}

/** About what a message's id, topic and places take of its wire form. */
const FRAME_BYTES = 150

/** A publish that has to be kept before anybody gets it. */
export class Publication implements Draft {
  readonly publisher: string | undefined
  readonly id: string
  readonly ownId: boolean
  readonly topic: string
  readonly key: string | undefined
  readonly expiresAt: number | undefined
  readonly priority: number | undefined
  readonly dueAt: number | undefined
  readonly streams: readonly string[]
  readonly queues: readonly string[]
  readonly bytes: number
  private readonly frame: PublishFrame
  private readonly counted: CountedTopic
  private readonly rest: string
  private readonly topics: FanOut
  private readonly settle: Settle
  private message: Message | undefined = undefined

  constructor(frame: PublishFrame, id: string, destination: Destination, topics: FanOut, settle: Settle) {
    this.publisher = destination.publisher
    this.id = id
    this.ownId = frame.id !== undefined
    this.topic = frame.topic
    this.key = frame.key
    this.expiresAt = frame.expiresAt
    this.priority = frame.priority
    const { delayMs, deliverAt } = frame
    if (delayMs !== undefined) this.dueAt = topics.now() + delayMs
    else this.dueAt = deliverAt === undefined ? undefined : topics.ownTime(deliverAt)
    this.streams = destination.streams
    this.queues = destination.queues
    // A copy: the bytes are the engine's again before the broker asks for the wire form.
    this.frame = frame.data instanceof Uint8Array ? { ...frame, data: new Uint8Array(frame.data) } : frame
    this.counted = destination.topic
    // Now, while its publisher can still be told that it cannot be encoded.
    this.rest = encodeRest(frame)
    this.bytes = FRAME_BYTES + Buffer.byteLength(this.rest) + (frame.data instanceof Uint8Array ? frame.data.length : 0)
    this.topics = topics
    this.settle = settle
  }

  encode(publishedAt: number, offsets: Offsets, scope: string | undefined): string | Uint8Array {
    const { frame, id, counted, rest } = this
    this.message = new Message(frame, id, counted.words, this.topics.nextStamp(), rest, { offsets, publishedAt, scope })
    return this.message.wire.text ?? (this.message.wire.record as Uint8Array)
  }

  kept({ duplicate, positions, queues }: Kept): void {
    if (this.message) this.topics.published(this.message, this.counted)
    this.settle(undefined, { id: this.id, duplicate, positions, queues })
  }

  refused(error: FanfareError): void {
    this.settle(error, undefined)
  }
}
