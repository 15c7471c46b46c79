import { Buffer } from 'node:buffer'
import { LENGTHS_BYTES } from '../../shared/codec.ts'
import type { FanfareError } from '../../shared/errors.ts'
import type { MessageHeaders, PublishFrame } from '../../shared/frames.ts'
import type { Draft, Kept, Route } from '../broker/broker.ts'
import { encodeRest } from './message.ts'

/** Gets the outcome of its publishes: immediately, or when it is clear. */
export interface Asker {
  /** The message was published, or with `duplicate` earlier. `kept` is undefined if nothing stores the message. */
  published(frame: PublishFrame, id: string, kept: Kept | undefined): void
  /** The message was not published; with `outcome_unknown` that is not certain. */
  notPublished(frame: PublishFrame, error: FanfareError): void
}

/** A topic and the number of publishes to it. */
export interface CountedTopic {
  readonly words: readonly string[]
  publishedTotal: number
  /** Publishes that the broker has received and not answered yet. */
  underWay: number
}

/** What publications need from the topics. */
export interface Publishing {
  now(): number
  /** Converts a publisher's time to the hub's clock. */
  ownTime(given: number): number
  /** Where a message is stored now. Throws the reason why it cannot be published. */
  routeOf(frame: PublishFrame): Route
  /** The broker has received a publish on this topic. */
  begun(name: string, topic: CountedTopic): void
  /** The broker has answered a publish. */
  answered(name: string, topic: CountedTopic): void
  count(topic: CountedTopic): void
}

/** The publisher, and the destination of the message. */
export interface Destination {
  /** The subject of the publisher. */
  readonly publisher: string | undefined
  /** The same object for all publishes of one connection. */
  readonly owner: object
  readonly topic: CountedTopic
  readonly route: Route
}

/** What terminates a message as JSON, and what follows it in a block. */
const END_BYTES = '},'.length

/** A publish that goes through the broker, because its topic may be stored, or other such publishes on the topic are in progress. */
export class Publication implements Draft {
  readonly owner: object
  readonly publisher: string | undefined
  readonly id: string
  readonly topic: string
  readonly key: string | undefined
  readonly headers: MessageHeaders | undefined
  readonly expiresAt: number | undefined
  readonly priority: number | undefined
  readonly dueAt: number | undefined
  readonly rest: string
  readonly payload: Uint8Array | undefined
  readonly bytes: number
  route: Route
  private readonly frame: PublishFrame
  private readonly counted: CountedTopic
  private readonly topics: Publishing
  private readonly asker: Asker
  private begun = false

  constructor(frame: PublishFrame, id: string, destination: Destination, topics: Publishing, asker: Asker) {
    this.owner = destination.owner
    this.publisher = destination.publisher
    this.id = id
    this.topic = frame.topic
    this.key = frame.key
    this.headers = frame.headers
    this.expiresAt = frame.expiresAt
    this.priority = frame.priority
    const { delayMs, deliverAt } = frame
    if (delayMs !== undefined) this.dueAt = topics.now() + delayMs
    else this.dueAt = deliverAt === undefined ? undefined : topics.ownTime(deliverAt)
    this.route = destination.route
    // A copy, because the engine reuses the bytes before the broker composes the wire form.
    this.payload = frame.data instanceof Uint8Array ? new Uint8Array(frame.data) : undefined
    this.frame = frame
    this.counted = destination.topic
    // Now, while the publisher can still be told that it cannot be encoded.
    this.rest = encodeRest(frame)
    const body = this.payload ? '}'.length + LENGTHS_BYTES + this.payload.length : END_BYTES
    this.bytes = Buffer.byteLength(this.rest) + body
    this.topics = topics
    this.asker = asker
  }

  get ownId(): boolean {
    return this.frame.id !== undefined && isKept(this.route)
  }

  get isRetry(): boolean {
    return this.frame.retry === true
  }

  /** The broker has it from now on: the next publish on its topic must not overtake it. */
  begin(): void {
    this.begun = true
    this.topics.begun(this.topic, this.counted)
  }

  reroute(): Route {
    this.route = this.topics.routeOf(this.frame)
    return this.route
  }

  kept(outcome: Kept): void {
    this.end()
    if (!outcome.duplicate) this.topics.count(this.counted)
    this.asker.published(this.frame, this.id, isKept(this.route) ? outcome : undefined)
  }

  refused(error: FanfareError): void {
    this.end()
    this.asker.notPublished(this.frame, error)
  }

  unknown(error: FanfareError): void {
    this.refused(error)
  }

  private end(): void {
    if (this.begun) this.topics.answered(this.topic, this.counted)
    this.begun = false
  }
}

/** Whether the message is stored anywhere. */
export function isKept({ streams, queues }: Route): boolean {
  return streams.length > 0 || queues.length > 0
}
