import { Buffer } from 'node:buffer'
import { LENGTHS_BYTES } from '../../shared/codec.ts'
import type { FanfareError } from '../../shared/errors.ts'
import type { PublishFrame } from '../../shared/frames.ts'
import type { Offsets, Position } from '../../shared/streams.ts'
import type { Draft, Kept } from '../broker/broker.ts'
import { encodeHead, encodeRest, Message } from './message.ts'

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
  /** Publishes that the broker has been given and has not answered. */
  underWay: number
}

/** Where a message goes once it is safe. */
export interface FanOut {
  now(): number
  /** A time that the publisher has given, as the hub counts. */
  ownTime(given: number): number
  nextStamp(): number
  published(message: Message, topic: CountedTopic): void
}

/** The publisher, and where the message has to be kept. */
export interface Destination {
  readonly publisher: string | undefined
  readonly topic: CountedTopic
  readonly streams: readonly string[]
  readonly queues: readonly string[]
}

/** What ends a message as JSON, and what follows it in a block. */
const END_BYTES = '},'.length

/** A publish that has to be stored before it is delivered, or has to wait for such publishes on its topic. */
export class Publication implements Draft {
  readonly owner: object
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
  private readonly frame: PublishFrame
  private readonly counted: CountedTopic
  private readonly rest: string
  /** Of the wire form, without its head. */
  readonly bytes: number
  private readonly topics: FanOut
  private readonly settle: Settle
  private message: Message | undefined = undefined
  private begun = false

  constructor(
    frame: PublishFrame,
    id: string,
    destination: Destination,
    owner: object,
    topics: FanOut,
    settle: Settle,
  ) {
    this.owner = owner
    this.publisher = destination.publisher
    this.id = id
    this.ownId = frame.id !== undefined && isKept(destination)
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
    const body = frame.data instanceof Uint8Array ? '}'.length + LENGTHS_BYTES + frame.data.length : END_BYTES
    this.bytes = Buffer.byteLength(this.rest) + body
    this.topics = topics
    this.settle = settle
  }

  /** It is the broker's from now on: what comes on its topic next must not overtake it. */
  begin(): void {
    this.begun = true
    this.counted.underWay++
  }

  bytesIn(publishedAt: number, offsets: Offsets, scope: string | undefined): number {
    return Buffer.byteLength(encodeHead(this.id, this.topic, { offsets, publishedAt, scope })) + this.bytes
  }

  encode(publishedAt: number, offsets: Offsets, scope: string | undefined): string | Uint8Array {
    const { frame, id, counted, rest } = this
    this.message = new Message(frame, id, counted.words, this.topics.nextStamp(), rest, { offsets, publishedAt, scope })
    return this.message.wire.text ?? (this.message.wire.record as Uint8Array)
  }

  kept({ duplicate, positions, queues }: Kept): void {
    this.end()
    if (this.message) this.topics.published(this.message, this.counted)
    const { id } = this
    if (isKept(this)) this.settle(undefined, { id, duplicate, positions, queues })
    else this.settle(undefined, { id, duplicate, positions: undefined, queues: undefined })
  }

  refused(error: FanfareError): void {
    this.end()
    this.settle(error, undefined)
  }

  private end(): void {
    if (this.begun) this.counted.underWay--
    this.begun = false
  }
}

function isKept({ streams, queues }: Pick<Destination, 'streams' | 'queues'>): boolean {
  return streams.length > 0 || queues.length > 0
}
