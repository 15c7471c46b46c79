import type { FanfareError } from '../../shared/errors.ts'
import type { Offsets, Position, StreamInfo, StreamOptions } from '../../shared/streams.ts'
import type { Block } from './block.ts'

/**
 * The contract between the hub and what keeps messages: streams, the ids of what was published, cursors.
 *
 * Order: a stream's messages are settled in the order of their offsets, and those of one publisher in the order of
 * `publish`. Loss: what was settled without an error is kept as its streams' durability says, all places of a message
 * or none; a draft that was refused left nothing behind. Ownership: blocks are never changed by whoever reads them.
 *
 * Everything that may have to wait is asynchronous, and everything that comes often is called without waiting: the
 * broker groups what arrives in one turn.
 */
export interface Broker {
  /** Keeps a message; the draft is told when it is safe. */
  publish(draft: Draft): void
  /** What is known of a stream, as of the last draft that was settled. */
  stream(name: string): StreamState | undefined
  /** Declares, or with the same options finds declared. Rejects with `stream_exists` where the options differ. */
  declareStream(options: StreamOptions, replace: boolean): Promise<StreamState>
  deleteStream(name: string): Promise<void>
  /** Lets go of the messages before an offset. */
  trimStream(name: string, before: number): Promise<void>
  streams(): Promise<StreamInfo[]>
  /** The messages from an offset on, as many as one block holds; undefined where there are none. */
  read(stream: string, offset: number): Promise<Block | undefined>
  /** The first offset of which the message is not older than a time. */
  offsetAtTime(stream: string, time: number): Promise<number>
  /** Offsets of the newest messages, `count` for each topic that matches, ascending. */
  newest(stream: string, pattern: readonly string[], count: number): Promise<number[]>
  cursor(stream: string, name: string): Promise<Position | undefined>
  setCursor(stream: string, name: string, offset: number): Promise<void>
  close(): Promise<void>
}

/** A message to be kept. */
export interface Draft {
  readonly id: string
  /** Whether the id is the publisher's own: then a second draft with it is a duplicate. */
  readonly ownId: boolean
  readonly topic: string
  readonly key: string | undefined
  readonly expiresAt: number | undefined
  readonly streams: readonly string[]
  /** Makes the wire form, once the places are known. */
  encode(publishedAt: number, offsets: Offsets): string | Uint8Array
  /** It is safe; or with `duplicate`, it has been before. */
  kept(outcome: Kept): void
  refused(error: FanfareError): void
}

export interface Kept {
  readonly duplicate: boolean
  readonly positions: Readonly<Record<string, Position>>
}

export interface StreamState {
  readonly options: StreamOptions
  readonly epoch: string
  /** Offset of the oldest message that is kept. */
  readonly first: number
  /** Offset that the next message will get. */
  readonly next: number
  /** Messages before this one were trimmed by an operator and not let go by retention. */
  readonly trimmedTo: number
}
