import { createHash, type Hash } from 'node:crypto'
import type { Batch, Content, IdChapter, QueuedContent } from '../broker/archive.ts'
import { canonical } from '../broker/rules/declarations.ts'

/** Records that were read. */
export interface Counts {
  streams: number
  queues: number
  messages: number
  cursors: number
  waiting: number
  letters: number
  parked: number
  ids: number
}

/** What an archive holds, condensed: two archives have the same digest if they hold the same, however it is stored and split into batches. */
export class Digest {
  readonly counts: Counts = {
    streams: 0,
    queues: 0,
    messages: 0,
    cursors: 0,
    waiting: 0,
    letters: 0,
    parked: 0,
    ids: 0,
  }
  private readonly parts = new Map<string, Part>()

  /** Returns the number of records. */
  add(batch: Batch): number {
    const { counts } = this
    switch (batch.kind) {
      case 'stream': {
        const { options, first, next, trimmedTo, newestTime } = batch.stream
        counts.streams++
        return this.note(`stream "${options.name}"`, 'options', [
          [canonical(options), first, next, trimmedTo, newestTime],
        ])
      }
      case 'messages': {
        counts.messages += batch.messages.length
        const records = batch.messages.map(({ offset, ...message }) => [offset, ...fieldsOf(message)])
        return this.note(`stream "${batch.stream}"`, 'messages', records)
      }
      case 'cursors': {
        counts.cursors += batch.cursors.length
        const records = batch.cursors.map(({ name, offset }) => [name, offset])
        return this.note(`stream "${batch.stream}"`, 'cursors', records)
      }
      case 'queue': {
        const { options, next, nextLetter } = batch.queue
        counts.queues++
        return this.note(`queue "${options.name}"`, 'options', [[canonical(options), next, nextLetter]])
      }
      case 'parked':
        counts.parked += batch.keys.length
        return this.note(`queue "${batch.queue}"`, 'parked groups', batch.keys)
      case 'waiting': {
        counts.waiting += batch.messages.length
        const records = batch.messages.map(({ seq, enteredAt, priority, dueAt, failure, ...message }) => [
          ...[seq, enteredAt, priority, dueAt, failure?.attempts, failure?.error, failure?.dueAt],
          ...fieldsOf(message),
        ])
        return this.note(`queue "${batch.queue}"`, 'messages', records)
      }
      case 'letters': {
        counts.letters += batch.letters.length
        const records = batch.letters.map(({ letter, seq, note, message }) => [
          ...[letter, seq, note.reason, note.error, note.attempts, note.publishedAt, note.diedAt],
          ...fieldsOf(message),
        ])
        return this.note(`queue "${batch.queue}"`, 'dead letters', records)
      }
      case 'ids':
        return this.addIds(batch.chapters)
    }
  }

  /** What differs in another digest: what and where; undefined if nothing does. */
  differenceTo(other: Digest): string | undefined {
    for (const name of new Set([...this.parts.keys(), ...other.parts.keys()])) {
      const [mine, its] = [this.parts.get(name), other.parts.get(name)]
      if (mine?.count !== its?.count) return `the ${name}: ${mine?.count ?? 0} and ${its?.count ?? 0}`
      if (mine && its && mine.sum !== its.sum) return `the ${name}, which have different checksums`
    }
    return undefined
  }

  private addIds(chapters: readonly IdChapter[]): number {
    const records = chapters.flatMap(({ time, ids }) =>
      ids.map(({ identity, streams, queues }) => [time, identity, streams, queues]),
    )
    this.counts.ids += records.length
    return this.note('message ids', '', records)
  }

  private note(place: string, what: string, records: readonly unknown[]): number {
    const name = what === '' ? place : `${what} of ${place}`
    let part = this.parts.get(name)
    if (!part) {
      part = new Part()
      this.parts.set(name, part)
    }
    for (const record of records) part.add(record)
    return records.length
  }
}

class Part {
  count = 0
  private readonly hash: Hash = createHash('sha256')
  private digest: string | undefined = undefined

  /** A record, in JSON; bytes follow it. */
  add(record: unknown): void {
    this.count++
    if (!Array.isArray(record)) return void this.hash.update(`${JSON.stringify(record)}\n`)
    const payload: unknown = record.at(-1)
    const bytes = payload instanceof Uint8Array ? payload : undefined
    const fields = bytes ? [...record.slice(0, -1), bytes.length] : record
    this.hash.update(`${JSON.stringify(fields)}\n`)
    if (bytes) this.hash.update(bytes)
  }

  get sum(): string {
    this.digest ??= this.hash.digest('hex')
    return this.digest
  }
}

/** The payload comes last. */
function fieldsOf({
  publishedAt,
  offsets,
  scope,
  content,
}: Omit<QueuedContent, 'scope'> & { readonly scope?: string | undefined }): unknown[] {
  const { id, topic, key, expiresAt, rest, payload }: Content = content
  const places = Object.entries(offsets).sort(([a], [b]) => (a < b ? -1 : 1))
  return [publishedAt, places, scope, id, topic, key, expiresAt, rest, payload]
}
