import { Buffer } from 'node:buffer'
import { FanfareError } from '../../../../shared/errors.ts'
import type { ArchivedCursor, ArchivedLetter, Batch, IdChapter, QueuedContent, QueueMessage } from '../../archive.ts'
import { compose } from '../../compose.ts'
import type { StoredChapter } from '../commit/dedup-window.ts'
import type { StoredLetter } from '../queue/dead-letters.ts'
import type { Failure } from '../queue/failures.ts'
import type { QueueRecord } from '../queue/queue-log.ts'
import {
  blockKey,
  cursorKey,
  failureKey,
  fromJson,
  idsKey,
  letterKey,
  numbersKey,
  parkedKey,
  queueKey,
  streamKey,
  toJson,
  under,
} from '../store/keys.ts'
import type { Change, Store } from '../store/store.ts'
import { type Entry, encodeBlock, inBlocks } from '../stored-block.ts'
import type { StreamRecord } from '../stream/stream-record.ts'
import { ArchivedLog } from './archived-log.ts'

/** Turns the records of an archive into changes of a store. */
export class ArchiveWriter {
  private readonly store: Store
  private readonly now: number
  private readonly streams = new Map<string, ArchivedLog>()
  private readonly queues = new Map<string, QueueRecord>()
  private nextNumber: number
  private nextChapter = 0

  /** `now`: time of the copy. */
  constructor(store: Store, now: number) {
    this.store = store
    this.now = now
    const next = store.get(numbersKey())
    this.nextNumber = next ? (fromJson(next) as number) : 1
    for (const [, value] of store.range(under('s'))) this.addStream(fromJson(value) as StreamRecord)
    for (const [, value] of store.range(under('q'))) this.addQueue(fromJson(value) as QueueRecord)
    for (const [[, commit]] of store.range({ ...under('w'), reverse: true, limit: 1 }))
      this.nextChapter = (commit as number) + 1
  }

  changesOf(batch: Batch): Change[] {
    switch (batch.kind) {
      case 'stream': {
        const { options, epoch, first, next, trimmedTo, newestTime: lastTime, isIndexed } = batch.stream
        const counts = { first, next, trimmedTo, bytes: 0, entries: 0, superseded: 0, lastTime, cursors: 0 }
        const unindexed = options.lastValue && !isIndexed ? { from: 0, to: next } : undefined
        const record: StreamRecord = { id: this.nextNumber++, options, epoch, ...counts, unindexed }
        this.addStream(record)
        return [{ key: streamKey(record.id), value: toJson(record) }, this.numbers()]
      }
      case 'messages':
        return this.streamOf(batch.stream).add(batch.messages)
      case 'cursors':
        return this.cursors(this.streamOf(batch.stream), batch.cursors)
      case 'queue': {
        const { options, next, nextLetter } = batch.queue
        const record: QueueRecord = { id: this.nextNumber++, options, next, nextLetter }
        this.addQueue(record)
        return [{ key: queueKey(record.id), value: toJson(record) }, this.numbers()]
      }
      case 'parked':
        return batch.keys.map((key) => ({ key: parkedKey(this.queueOf(batch.queue), key), value: toJson(true) }))
      case 'waiting':
        return this.waiting(this.queueOf(batch.queue), batch.messages)
      case 'letters':
        return batch.letters.map((letter) => letterChange(this.queueOf(batch.queue), letter))
      case 'ids':
        return batch.chapters.map((chapter) => this.chapter(chapter))
    }
  }

  private numbers(): Change {
    return { key: numbersKey(), value: toJson(this.nextNumber) }
  }

  private addStream(record: StreamRecord): void {
    this.streams.set(record.options.name, new ArchivedLog(this.store, record))
    this.nextNumber = Math.max(this.nextNumber, record.id + 1)
  }

  private addQueue(record: QueueRecord): void {
    this.queues.set(record.options.name, record)
    this.nextNumber = Math.max(this.nextNumber, record.id + 1)
  }

  private streamOf(name: string): ArchivedLog {
    const log = this.streams.get(name)
    if (!log) throw new FanfareError('no_stream')
    return log
  }

  private queueOf(name: string): number {
    const record = this.queues.get(name)
    if (!record) throw new FanfareError('no_queue')
    return record.id
  }

  private cursors(log: ArchivedLog, cursors: readonly ArchivedCursor[]): Change[] {
    const { id, epoch } = log.record
    log.record.cursors += cursors.length
    const changes = cursors.map(({ name, offset, usedAt: at = this.now }) => ({
      key: cursorKey(id, name),
      value: toJson({ epoch, offset, at }),
    }))
    return [...changes, { key: streamKey(id), value: toJson(log.record) }]
  }

  private waiting(id: number, messages: readonly QueueMessage[]): Change[] {
    const changes: Change[] = []
    for (const run of inRuns(messages)) {
      for (const block of inBlocks(run.map(entryOf)))
        changes.push({ key: blockKey(id, (block[0] as Entry).offset), value: encodeBlock(block) })
    }
    for (const { seq, failure } of messages) {
      // The wait for the next attempt goes by the clock of now.
      const failed: Failure | undefined = failure && { ...failure, failedAt: this.now }
      if (failed) changes.push({ key: failureKey(id, seq), value: toJson(failed) })
    }
    return changes
  }

  private chapter({ time, ids }: IdChapter): Change {
    const routes: StoredChapter['routes'] = []
    const routeAt: number[] = []
    const offsets: number[] = []
    for (const { streams, queues } of ids) {
      const route = {
        streams: streams.map(([name]) => ({ id: this.streamOf(name).record.id, name })),
        queues: queues.map(([name]) => ({ id: this.queueOf(name), name })),
      }
      if (JSON.stringify(route) !== JSON.stringify(routes.at(-1))) routes.push(route)
      routeAt.push(routes.length - 1)
      for (const [, offset] of [...streams, ...queues]) offsets.push(offset)
    }
    const identities = ids.map(({ identity }) => identity)
    const stored: StoredChapter = { time, identities, routes, routeAt, offsets, purged: [], moved: [] }
    return { key: idsKey(this.nextChapter++), value: toJson(stored) }
  }
}

/** A block of a queue has no holes. */
function* inRuns(messages: readonly QueueMessage[]): Iterable<QueueMessage[]> {
  let run: QueueMessage[] = []
  for (const message of messages) {
    if (run.length > 0 && message.seq !== (run.at(-1) as QueueMessage).seq + 1) {
      yield run
      run = []
    }
    run.push(message)
  }
  if (run.length > 0) yield run
}

function entryOf(message: QueueMessage): Entry {
  const { seq: offset, enteredAt: time, priority, dueAt, content } = message
  const { topic, key, expiresAt } = content
  return { offset, time, topic, key, expiresAt, priority, dueAt, back: 0, wire: wireOf(message) }
}

function letterChange(id: number, { letter, seq, note, message }: ArchivedLetter): Change {
  const { topic, key, payload } = message.content
  const wire = wireOf(message)
  const text = typeof wire === 'string' ? wire : Buffer.from(wire).toString('base64')
  const head = seq === undefined ? {} : { seq }
  const stored: StoredLetter = { ...head, wire: text, binary: payload !== undefined, topic, key, ...note }
  return { key: letterKey(id, letter), value: toJson(stored) }
}

function wireOf({ content, publishedAt, offsets, scope }: QueuedContent): string | Uint8Array {
  return compose(content, { publishedAt, offsets, scope })
}
