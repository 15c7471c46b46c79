import { Buffer } from 'node:buffer'
import { FanfareError } from '../../../../shared/errors.ts'
import type { QueueOptions } from '../../../../shared/queues.ts'
import type { StreamOptions } from '../../../../shared/streams.ts'
import {
  type ArchivedCursor,
  type ArchivedLetter,
  BATCH_BYTES,
  BATCH_RECORDS,
  type Batch,
  contentBytes,
  type IdChapter,
  inBatches,
  inChapterBatches,
  type Names,
  type QueueMessage,
  type StreamMessage,
} from '../../archive.ts'
import { isReplaced, valueName } from '../../rules/last-value.ts'
import { listOf, type SpaceState } from '../answers.ts'
import { damagedBlock } from '../damage.ts'
import type { Argument, BrokerLink } from '../link.ts'
import { NEW_MESSAGES, QUEUE_MESSAGES, QUEUE_NUMBERS } from '../lua/archive.ts'
import { QUEUE_LOOK, STATE } from '../lua/reads.ts'
import { messagesOf } from '../raw-block.ts'
import { StreamMirror } from '../stream-mirror.ts'
import { StreamReads } from '../stream-reads.ts'
import { letterIn, messageIn } from './queued-parts.ts'

interface NumberedQueue {
  readonly number: number
  readonly options: QueueOptions
}

/** Blocks, and chapters of ids, that one call reads. */
const PAGE_BLOCKS = 64
const PAGE_CHAPTERS = 50

const NO_FAILURE = Buffer.alloc(0)

/** Reads a space of a Redis as the records of an archive. */
export class ArchiveReader {
  private readonly link: BrokerLink
  private readonly reads: StreamReads

  constructor(link: BrokerLink) {
    this.link = link
    this.reads = new StreamReads(link, { any: '', ofPosition: (time) => time }, damagedBlock)
  }

  async names(): Promise<Names> {
    const { streams, queues } = await this.declared()
    return { streams: streams.map(({ options }) => options.name), queues: queues.map(({ options }) => options.name) }
  }

  async *read(only?: Names): AsyncIterable<Batch> {
    const declared = await this.declared()
    const streams = declared.streams.filter(({ options: { name } }) => only?.streams.includes(name) ?? true)
    const queues = declared.queues.filter(({ options: { name } }) => only?.queues.includes(name) ?? true)
    for (const mirror of streams) yield* this.stream(mirror)
    for (const queue of queues) yield* this.queue(queue)
    for await (const chapters of inChapterBatches(this.chapters(streams, queues))) yield { kind: 'ids', chapters }
  }

  /** In the order of declaration. */
  private async declared(): Promise<{ streams: StreamMirror[]; queues: NumberedQueue[] }> {
    const { s, q, n } = JSON.parse(String(await this.run(STATE))) as SpaceState
    const streams = listOf(s).map(([, number, options, epoch, numbers]) => {
      const mirror = new StreamMirror(number, JSON.parse(options) as StreamOptions, epoch, n)
      mirror.take(numbers)
      return mirror
    })
    const queues = listOf(q).map(([, number, options]) => ({ number, options: JSON.parse(options) as QueueOptions }))
    const byNumber = (a: { number: number }, b: { number: number }) => a.number - b.number
    return { streams: streams.sort(byNumber), queues: queues.sort(byNumber) }
  }

  private async *stream(mirror: StreamMirror): AsyncIterable<Batch> {
    const { options, epoch, first, next, trimmedTo, newestTime, unindexed } = mirror
    const isIndexed = unindexed.to === 0
    yield { kind: 'stream', stream: { options, epoch, first, next, trimmedTo, newestTime, isIndexed } }
    const messages = this.messages(mirror)
    for await (const batch of inBatches(messages, ({ content }) => contentBytes(content)))
      yield { kind: 'messages', stream: options.name, messages: batch }
    for await (const cursors of inBatches(await this.cursors(mirror)))
      yield { kind: 'cursors', stream: options.name, cursors }
  }

  private async *messages(mirror: StreamMirror): AsyncIterable<StreamMessage> {
    const { first, next, options } = mirror
    for (let at = first; at < next; ) {
      const blocks = await this.reads.blocks(mirror, at, PAGE_BLOCKS, BATCH_BYTES)
      if (blocks.length === 0) return
      const messages: StreamMessage[] = []
      let last = at
      for (const { parts, offset, time: publishedAt, offsets } of messagesOf(options.name, blocks)) {
        if (offset < at) continue
        last = offset
        const { id, topic, key, expiresAt, rest, payload } = parts
        messages.push({
          offset,
          publishedAt,
          offsets: { ...offsets },
          content: { id, topic, key, expiresAt, rest, payload },
        })
      }
      yield* options.lastValue ? await this.standing(mirror, messages) : messages
      at = last + 1
    }
  }

  private async standing(mirror: StreamMirror, messages: StreamMessage[]): Promise<StreamMessage[]> {
    const names = messages.map(({ content: { topic, key } }) => valueName(topic, key))
    const offsets = await this.reads.standing(mirror, names)
    return messages.filter(({ offset }, at) => !isReplaced(offset, offsets[at]))
  }

  private async cursors({ number, next }: StreamMirror): Promise<ArchivedCursor[]> {
    const cursors = new Map<string, ArchivedCursor>()
    for (let from = '0'; ; ) {
      const step = await this.link.ask('HSCAN', this.link.keys.cursors(number), from, 'COUNT', 1000)
      const [then, found] = step as [string, string[]]
      for (let at = 0; at < found.length; at += 2) {
        const [offset, usedAt] = (found[at + 1] as string).split(':').map(Number) as [number, number]
        const name = found[at] as string
        cursors.set(name, { name, offset: Math.min(offset, next), usedAt })
      }
      if (then === '0') break
      from = then
    }
    return [...cursors.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  private async *queue({ number, options }: NumberedQueue): AsyncIterable<Batch> {
    const queue = options.name
    const numbers = (await this.run(QUEUE_NUMBERS, number)) as [number, number, Buffer]
    const [next, nextLetter, ahead] = numbers.map(Number) as [number, number, number]
    yield { kind: 'queue', queue: { options, next, nextLetter } }
    const parked = (await this.link.ask('ZRANGE', this.link.keys.parked(number), 0, -1)) as string[]
    for await (const keys of inBatches(parked.sort())) yield { kind: 'parked', queue, keys }
    for await (const messages of inBatches(this.waiting(number, ahead), ({ content }) => contentBytes(content)))
      yield { kind: 'waiting', queue, messages }
    const letters = this.letters(number, nextLetter)
    for await (const batch of inBatches(letters, ({ message }) => contentBytes(message.content)))
      yield { kind: 'letters', queue, letters: batch }
  }

  /** In order, with those that consumers had on lease. `ahead`: how much later the times of the queue are than those of the clock. */
  private async *waiting(number: number, ahead: number): AsyncIterable<QueueMessage> {
    const others = this.others(number, ahead)
    let other = await others.next()
    for await (const message of this.newOnes(number, ahead)) {
      for (; !other.done && other.value.seq < message.seq; other = await others.next()) yield other.value
      yield message
    }
    for (; !other.done; other = await others.next()) yield other.value
  }

  /** Those that no consumer has had. */
  private async *newOnes(number: number, ahead: number): AsyncIterable<QueueMessage> {
    for (let from = 0; ; ) {
      const [batches, ...found] = (await this.run(NEW_MESSAGES, number, from, BATCH_BYTES)) as [number, ...Buffer[]]
      if (batches === 0) return
      from += batches
      for (let at = 0; at < found.length; at += 3) {
        const [seq, header, body] = found.slice(at, at + 3) as [Buffer, Buffer, Buffer]
        yield whole(() => messageIn(Number(seq), header, body, NO_FAILURE, ahead))
      }
    }
  }

  private async *others(number: number, ahead: number): AsyncGenerator<QueueMessage, void> {
    const leased = await this.leased(number)
    for (let from = 0, at = 0; ; ) {
      const range = [from, '+inf', 'BYSCORE', 'LIMIT', 0, BATCH_RECORDS] as const
      const page = ((await this.link.ask('ZRANGE', this.link.keys.waiting(number), ...range)) as string[]).map(Number)
      const isLast = page.length < BATCH_RECORDS
      const end = isLast ? Number.POSITIVE_INFINITY : (page.at(-1) as number) + 1
      const seqs = [...page]
      for (; at < leased.length && (leased[at] as number) < end; at++) seqs.push(leased[at] as number)
      yield* this.messagesWith(
        number,
        seqs.sort((a, b) => a - b),
        ahead,
      )
      if (isLast) return
      from = end
    }
  }

  private async leased(number: number): Promise<number[]> {
    const seqs: number[] = []
    for (const lessee of (await this.link.ask('SMEMBERS', this.link.keys.lessees)) as Iterable<string>) {
      const held = (await this.link.ask('SMEMBERS', this.link.keys.leases(number, lessee))) as Iterable<string>
      for (const seq of held) seqs.push(Number(seq))
    }
    return seqs.sort((a, b) => a - b)
  }

  private async *messagesWith(number: number, seqs: readonly number[], ahead: number): AsyncIterable<QueueMessage> {
    for (let done = 0; done < seqs.length; ) {
      const some = seqs.slice(done, done + BATCH_RECORDS)
      const found = (await this.run(QUEUE_MESSAGES, number, BATCH_BYTES, ...some)) as Buffer[]
      for (let at = 0; at < found.length; at += 3) {
        const [header, body, failure] = found.slice(at, at + 3) as [Buffer, Buffer, Buffer]
        const seq = seqs[done++] as number
        yield whole(() => messageIn(seq, header, body, failure, ahead))
      }
    }
  }

  private async *letters(number: number, end: number): AsyncIterable<ArchivedLetter> {
    for (let from = 0; from < end; ) {
      const found = (await this.run(QUEUE_LOOK, 'letters', number, from, end, BATCH_BYTES)) as Buffer[]
      if (found.length === 0) return
      for (let at = 0; at < found.length; at += 4) {
        const [id, note, , body] = found.slice(at, at + 4) as [Buffer, Buffer, Buffer, Buffer]
        const letter = whole(() => letterIn(Number(id) - 1, note, body))
        from = letter.letter + 1
        yield letter
      }
    }
  }

  private async *chapters(
    streams: readonly StreamMirror[],
    queues: readonly NumberedQueue[],
  ): AsyncIterable<IdChapter> {
    const trimmed = new Map(streams.map((mirror) => [`s${mirror.number}`, mirror.trimmedTo]))
    const names = new Map([
      ...streams.map(({ number, options }) => [`s${number}`, options.name] as const),
      ...queues.map(({ number, options }) => [`q${number}`, options.name] as const),
    ])
    for (let at = 0; ; at += PAGE_CHAPTERS) {
      const { ids, idChapters } = this.link.keys
      const page = (await this.link.ask('LRANGE', idChapters, at, at + PAGE_CHAPTERS - 1)) as string[]
      for (const chapter of page) {
        const [time, commit, ...lines] = chapter.split('\n') as [string, string, ...string[]]
        const identities = lines.filter((line) => line !== '')
        const places = identities.length === 0 ? [] : ((await this.link.ask('HMGET', ids, ...identities)) as unknown[])
        const left = identities.flatMap((identity, n) => {
          const found = placesIn(places[n], commit, names, trimmed)
          return found ? [{ identity, ...found }] : []
        })
        if (left.length > 0) yield { time: Number(time), ids: left }
      }
      if (page.length < PAGE_CHAPTERS) return
    }
  }

  private run(script: string, ...args: Argument[]): Promise<unknown> {
    return this.link.read(script, ['', ...args])
  }
}

/** The places of an id that are left; undefined if there are none, or the id came again later. */
function placesIn(
  value: unknown,
  commit: string,
  names: ReadonlyMap<string, string>,
  trimmed: ReadonlyMap<string, number>,
): { streams: [string, number][]; queues: [string, number][] } | undefined {
  const [, its, places = ''] = typeof value === 'string' ? value.split(':') : []
  if (its !== commit) return undefined
  const [streams, queues]: [string, number][][] = [[], []]
  for (const [, place = '', offset] of places.matchAll(/([sq]\d+)=(\d+)/g)) {
    const name = names.get(place)
    if (name === undefined || Number(offset) < (trimmed.get(place) ?? 0)) continue
    ;(place.startsWith('s') ? streams : queues)?.push([name, Number(offset)])
  }
  return streams && queues && streams.length + queues.length > 0 ? { streams, queues } : undefined
}

/** Reads a message. Throws `data_damaged`: a copy without it would not be one. */
function whole<Message>(read: () => Message): Message {
  try {
    return read()
  } catch {
    throw new FanfareError(
      'data_damaged',
      'A message of a queue in Redis is damaged. Start a hub on it, consume or purge the queues, and copy again.',
    )
  }
}
