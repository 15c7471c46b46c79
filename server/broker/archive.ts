import { Buffer } from 'node:buffer'
import type { QueueOptions } from '../../shared/queues.ts'
import type { Offsets, StreamOptions } from '../../shared/streams.ts'
import type { MessageParts } from './broker.ts'
import type { DeathNote } from './rules/dead-letters.ts'

/**
 * The contract for copying what one broker stores into another one, while no hub uses either. Both sides have the same records, in
 * batches: the order and the limits of the batches depend on the stored content only. So a copy that was interrupted reads the
 * source again from the start, and continues with the first batch that the target does not have.
 *
 * **Ownership.** An open archive belongs to its process: no hub can start on it until it is closed.
 *
 * **Loss.** A target stores a batch together with its number, in one step. From the first batch until `finish`, no hub starts on it.
 */
export interface Archive {
  /** For people, without passwords. */
  readonly place: string
  /** Why it may lose what is copied into it; undefined if it keeps that. */
  readonly risk: string | undefined
  /** Identifies the content: where it is, and a state of it that changes when a hub stores something. */
  contentId(): Promise<ContentId>
  /** The names of what is stored. */
  names(): Promise<Names>
  /** Everything, or only what has these names. */
  read(only?: Names): AsyncIterable<Batch>
  /** A copy that was written here earlier, if no hub has been started since. */
  copied(): Promise<CopyState | undefined>
  /** Makes it the target of a copy, without any batch so far. */
  begin(source: ContentId): Promise<void>
  /** Stores a batch, whose number is one higher than the last one's. */
  write(batch: Batch, number: number): Promise<void>
  /** The copy is complete. */
  finish(): Promise<void>
  /** Waits until replicas have everything, for some time. Gives which of them do not; undefined if all do, or there are none. */
  replicated(): Promise<string | undefined>
  close(): Promise<void>
}

export interface ContentId {
  readonly place: string
  readonly state: string
}

export interface Names {
  readonly streams: readonly string[]
  readonly queues: readonly string[]
}

export interface CopyState {
  readonly source: ContentId
  /** Batches written. */
  readonly batches: number
  readonly isFinished: boolean
}

/** The records of one kind, of one stream or queue. A stream or queue comes first, then what belongs to it; the ids come last. */
export type Batch =
  | { readonly kind: 'stream'; readonly stream: ArchivedStream }
  | { readonly kind: 'messages'; readonly stream: string; readonly messages: readonly StreamMessage[] }
  | { readonly kind: 'cursors'; readonly stream: string; readonly cursors: readonly ArchivedCursor[] }
  | { readonly kind: 'queue'; readonly queue: ArchivedQueue }
  | { readonly kind: 'parked'; readonly queue: string; readonly keys: readonly string[] }
  | { readonly kind: 'waiting'; readonly queue: string; readonly messages: readonly QueueMessage[] }
  | { readonly kind: 'letters'; readonly queue: string; readonly letters: readonly ArchivedLetter[] }
  | { readonly kind: 'ids'; readonly chapters: readonly IdChapter[] }

/** Maximum records of a batch, and about how many bytes of messages: neither side holds more at a time. */
export const BATCH_RECORDS = 500
export const BATCH_BYTES = 256 * 1024

export interface ArchivedStream {
  readonly options: StreamOptions
  readonly epoch: string
  readonly first: number
  readonly next: number
  readonly trimmedTo: number
  readonly newestTime: number
  /** Whether the current values of a last-value stream are known; otherwise its hub is still looking for them. */
  readonly isIndexed: boolean
}

/** The content of a message. */
export type Content = Pick<MessageParts, 'id' | 'topic' | 'key' | 'expiresAt' | 'rest' | 'payload'>

/** A message that a reader could get: neither replaced by a newer value nor removed by retention. */
export interface StreamMessage {
  readonly offset: number
  readonly publishedAt: number
  /** In every stream that captured it, including deleted ones. */
  readonly offsets: Offsets
  readonly content: Content
}

export interface ArchivedCursor {
  readonly name: string
  readonly offset: number
  /** Data of earlier versions has no time. */
  readonly usedAt: number | undefined
}

export interface ArchivedQueue {
  readonly options: QueueOptions
  /** The numbers of the next message and of the next dead letter. */
  readonly next: number
  readonly nextLetter: number
}

/** A message as it is in a queue. */
export interface QueuedContent {
  readonly publishedAt: number
  readonly offsets: Offsets
  readonly scope: string | undefined
  readonly content: Content
}

export interface QueueMessage extends QueuedContent {
  readonly seq: number
  /** When it came into this queue: a redriven message was published earlier. */
  readonly enteredAt: number
  readonly priority: number
  /** When it is due after its publish; 0 for immediately. */
  readonly dueAt: number
  /** Of the last failed attempt. */
  readonly failure: ArchivedFailure | undefined
}

export interface ArchivedFailure {
  readonly attempts: number
  readonly error: string | undefined
  readonly dueAt: number
}

export interface ArchivedLetter {
  readonly letter: number
  /** The number that the message had in the queue. Data of earlier versions does not have it. */
  readonly seq: number | undefined
  readonly note: Omit<DeathNote, 'topic' | 'key'>
  /** Its `content.expiresAt` is not set, because a dead letter does not expire. */
  readonly message: QueuedContent
}

/** The ids that were published at one time, with the places of their messages that are left. */
export interface IdChapter {
  readonly time: number
  readonly ids: readonly ArchivedId[]
}

export interface ArchivedId {
  /** See `rules/identity.ts`. */
  readonly identity: string
  /** Names, and offsets or numbers. */
  readonly streams: readonly (readonly [string, number])[]
  readonly queues: readonly (readonly [string, number])[]
}

/** Text that stays the same however often it is moved: half a surrogate pair cannot be encoded, and is replaced. */
export function wellFormed(text: string): string {
  return Buffer.from(text).toString()
}

/** Splits records into batches. `bytesOf`: of one record; by default it does not count. */
export async function* inBatches<Item>(
  items: Iterable<Item> | AsyncIterable<Item>,
  bytesOf: (item: Item) => number = () => 0,
): AsyncIterable<Item[]> {
  let batch: Item[] = []
  let bytes = 0
  for await (const item of items) {
    const size = bytesOf(item)
    if (batch.length >= BATCH_RECORDS || (batch.length > 0 && bytes + size > BATCH_BYTES)) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(item)
    bytes += size
  }
  if (batch.length > 0) yield batch
}

/** Splits ids into batches of chapters; a large chapter becomes several. */
export async function* inChapterBatches(
  chapters: Iterable<IdChapter> | AsyncIterable<IdChapter>,
): AsyncIterable<IdChapter[]> {
  let batch: IdChapter[] = []
  let count = 0
  for await (const { time, ids } of chapters) {
    for (let at = 0; at < ids.length; ) {
      const some = ids.slice(at, at + BATCH_RECORDS - count)
      batch.push({ time, ids: some })
      at += some.length
      count += some.length
      if (count < BATCH_RECORDS) continue
      yield batch
      batch = []
      count = 0
    }
  }
  if (batch.length > 0) yield batch
}

/** Approximate size of a message's content. */
export function contentBytes({ rest, payload }: Content): number {
  return rest.length + (payload?.length ?? 0) + 100
}
