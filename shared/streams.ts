/** Streams, as hub and clients describe them. */

/** A place in a stream. The epoch changes when the log can no longer vouch for old offsets. */
export interface Position {
  readonly epoch: string
  readonly offset: number
}

/** A message's offset in each stream that captured it. */
export type Offsets = Readonly<Record<string, number>>

/** Where a subscription on a stream starts. */
export type StartAt =
  | 'latest'
  | 'earliest'
  /** The first message wanted. Without the epoch the hub cannot tell whether it is still the same log. */
  | { readonly offset: number; readonly epoch?: string | undefined }
  /** The first message that is not older: milliseconds since 1970. */
  | { readonly time: number }
  | LastCount

/** Starts with the newest messages of each topic that matches, this many of each. */
export interface LastCount {
  readonly last: number
  /**
   * To resume after a lost connection: the newest before this offset, which the `subscribed` frame gave, and everything from it on. Of these,
   * only those from `offset` on, if some have arrived already.
   */
  readonly before?: number | undefined
  readonly offset?: number | undefined
  readonly epoch?: string | undefined
}

/**
 * Parses a start from text: `latest`, `earliest`, an offset, `<epoch>:<offset>`, `last:<n>`, or a time such as
 * `2026-01-31T12:00Z`; or what `lastText` makes. Undefined if it is none of these.
 */
export function parseStart(text: string): StartAt | undefined {
  if (text === 'latest' || text === 'earliest') return text
  const last = /^last:(\d+)$/.exec(text)
  if (last) return { last: Number(last[1]) }
  if (/^\d+$/.test(text)) return { offset: Number(text) }
  const time = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(time)) return { time }
  const [, epoch, offset, count, before] = /^([\w-]+):(\d+)(?::(\d+):(\d+))?$/.exec(text) ?? []
  if (epoch === undefined) return undefined
  const position = { epoch, offset: Number(offset) }
  return count === undefined ? position : { last: Number(count), before: Number(before), ...position }
}

/** A position among the last messages of each topic, as text: `<epoch>:<offset>:<last>:<before>`. */
export function lastText(epoch: string, { offset = 0, last, before }: LastCount): string {
  return `${epoch}:${offset}:${last}:${before}`
}

export interface StreamOptions {
  readonly name: string
  /** Patterns of the topics that it captures. */
  readonly topics: readonly string[]
  /** Oldest message that is kept, in milliseconds. */
  readonly maxAgeMs: number
  /** Maximum bytes stored. The newest block of messages is always kept, whatever its size. */
  readonly maxBytes: number
  /** Maximum messages stored; absent: as many as age and bytes allow. */
  readonly maxMessages?: number | undefined
  /** Keep only the newest message of each topic and key. */
  readonly lastValue: boolean
  /** When a publish is safe: written and synced to the disk, or handed to the operating system. */
  readonly durability: 'disk' | 'os'
}

/** The state of a stream. */
export interface StreamInfo extends StreamOptions {
  readonly epoch: string
  /** Offset of the oldest stored message, and the offset that the next message gets: the newest message has one less. */
  readonly first: number
  readonly next: number
  /** Messages that can be read: with `lastValue`, those that no newer one has replaced. */
  readonly messages: number
  readonly bytes: number
  /** Times of the oldest and the newest message, in milliseconds since 1970. */
  readonly oldestAt: number | undefined
  readonly newestAt: number | undefined
  /** How many cursors have a stored position. */
  readonly cursorCount: number
  /** Stored positions by cursor name, of the first 100 names; `cursors.list` gives all. */
  readonly cursors: Readonly<Record<string, Position>>
}

/** Cursors of a stream, in the order of their names. */
export interface CursorPage {
  readonly cursors: readonly CursorInfo[]
  /** True on the last page. */
  readonly end: boolean
}

/** A stored position of a stream. */
export interface CursorInfo extends Position {
  readonly name: string
  /** When it was last stored or subscribed with, to the day, in milliseconds since 1970; absent in data of earlier versions. */
  readonly usedAt: number | undefined
}
