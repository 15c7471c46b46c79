import { Buffer } from 'node:buffer'
import type { Logger } from 'pino'
import { steadyClock } from '../../../../shared/steady-clock.ts'
import {
  type ArchivedCursor,
  type ArchivedLetter,
  type ArchivedStream,
  type Batch,
  contentBytes,
  inBatches,
  inChapterBatches,
  type Names,
  type QueueMessage,
  type StreamMessage,
  wellFormed,
} from '../../archive.ts'
import { DedupWindow } from '../commit/dedup-window.ts'
import { Logs } from '../logs.ts'
import type { StoredLetter } from '../queue/dead-letters.ts'
import { Failures } from '../queue/failures.ts'
import { QueueBlocks } from '../queue/queue-blocks.ts'
import { storedItem } from '../queue/queue-item.ts'
import { QueueLog, type QueueRecord } from '../queue/queue-log.ts'
import { fromJson, under } from '../store/keys.ts'
import type { Store } from '../store/store.ts'
import { StreamLog } from '../stream/stream-log.ts'
import type { StreamRecord } from '../stream/stream-record.ts'
import { partsOf } from './wire-parts.ts'

/** Reads a store as the records of an archive. */
export class ArchiveReader {
  private readonly store: Store
  private readonly log: Logger
  /** What epoch is shown of a stream. */
  private readonly epochOf: (epoch: string) => string

  constructor(store: Store, epochOf: (epoch: string) => string, log: Logger) {
    this.store = store
    this.epochOf = epochOf
    this.log = log
  }

  get names(): Names {
    return {
      streams: this.streams.map(({ options }) => options.name),
      queues: this.queues.map(({ options }) => options.name),
    }
  }

  async *read(only?: Names): AsyncIterable<Batch> {
    const streams = this.streams.filter(({ options: { name } }) => only?.streams.includes(name) ?? true)
    const queues = this.queues.filter(({ options: { name } }) => only?.queues.includes(name) ?? true)
    for (const record of streams) yield* this.stream(record)
    for (const record of queues) yield* this.queue(record)
    const logs = new Logs(this.store)
    for (const record of streams) logs.add(new StreamLog(this.store, record))
    for (const record of queues) logs.add(new QueueLog(this.store, record, steadyClock))
    const window = new DedupWindow(this.store, logs, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, this.log)
    for await (const chapters of inChapterBatches(window.chaptersLeft())) yield { kind: 'ids', chapters }
  }

  private get streams(): StreamRecord[] {
    return [...this.store.range(under('s'))].map(([, value]) => fromJson(value) as StreamRecord)
  }

  private get queues(): QueueRecord[] {
    return [...this.store.range(under('q'))].map(([, value]) => fromJson(value) as QueueRecord)
  }

  private async *stream(record: StreamRecord): AsyncIterable<Batch> {
    const { id, options, epoch, first, next, trimmedTo, lastTime: newestTime, unindexed } = record
    const isIndexed = unindexed === undefined
    const stream: ArchivedStream = {
      options,
      epoch: this.epochOf(epoch),
      first,
      next,
      trimmedTo,
      newestTime,
      isIndexed,
    }
    yield { kind: 'stream', stream }
    const messages = messagesOf(new StreamLog(this.store, record))
    for await (const batch of inBatches(messages, ({ content }) => contentBytes(content)))
      yield { kind: 'messages', stream: options.name, messages: batch }
    for await (const cursors of inBatches(this.cursors(id, next)))
      yield { kind: 'cursors', stream: options.name, cursors }
  }

  private cursors(id: number, next: number): ArchivedCursor[] {
    const cursors = [...this.store.range(under('c', id))].map(([key, value]) => {
      const { offset, at } = fromJson(value) as { offset: number; at?: number }
      // In a backup one may be ahead: see `giveNewEpochs`.
      return { name: key[2] as string, offset: Math.min(offset, next), usedAt: at }
    })
    return cursors.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  private async *queue({ id, options, next, nextLetter }: QueueRecord): AsyncIterable<Batch> {
    const queue = options.name
    yield { kind: 'queue', queue: { options, next, nextLetter } }
    const parked = [...this.store.keys(under('p', id))].map((key) => wellFormed(key[2] as string)).sort()
    for await (const keys of inBatches(parked)) yield { kind: 'parked', queue, keys }
    const waiting = this.waiting(id)
    for await (const messages of inBatches(waiting, ({ content }) => contentBytes(content)))
      yield { kind: 'waiting', queue, messages }
    for await (const letters of inBatches(this.letters(id), ({ message }) => contentBytes(message.content)))
      yield { kind: 'letters', queue, letters }
  }

  /** All messages of a queue that are not settled: leases are not stored. */
  private *waiting(id: number): Iterable<QueueMessage> {
    const failures = new Failures(this.store, id)
    for (const [block, at] of new QueueBlocks(this.store, id).load()) {
      const item = storedItem(block, at)
      const { seq, key, priority, publishedAt: enteredAt, expiresAt, dueAt } = item
      const failed = failures.of(item)
      const error = failed?.error === undefined ? undefined : wellFormed(failed.error)
      const failure = failed && { attempts: failed.attempts, error, dueAt: failed.dueAt }
      yield { ...partsOf(block.wire(at), key, expiresAt), seq, enteredAt, priority, dueAt, failure }
    }
  }

  private *letters(id: number): Iterable<ArchivedLetter> {
    for (const [key, value] of this.store.range(under('d', id))) {
      const stored = fromJson(value) as StoredLetter
      const { seq, reason, error, attempts, publishedAt, diedAt } = stored
      const wire = stored.binary ? Buffer.from(stored.wire, 'base64') : stored.wire
      const note = { reason, error: error === undefined ? undefined : wellFormed(error), attempts, publishedAt, diedAt }
      yield { letter: key[2] as number, seq, note, message: partsOf(wire, stored.key, undefined) }
    }
  }
}

function* messagesOf(log: StreamLog): Iterable<StreamMessage> {
  for (let next = log.first; next < log.next; ) {
    const block = log.read(next)
    if (!block) return
    for (let at = block.find(next); at < block.count; at++) {
      if (block.isHidden(at)) continue
      const { offset, wire, key, expiresAt } = block.entry(at)
      const { publishedAt, offsets, content } = partsOf(wire, key, expiresAt)
      yield { offset, publishedAt, offsets, content }
    }
    next = block.lastOffset + 1
  }
}
