import type { ArchivedStream, Batch, IdChapter, StreamMessage } from '../../archive.ts'
import { canonical } from '../../rules/declarations.ts'
import { Identities } from '../../rules/identity.ts'
import { valueName } from '../../rules/last-value.ts'
import type { Argument, BrokerLink } from '../link.ts'
import { type KeptMessage, storedBlock } from '../raw-block.ts'
import type { Op } from '../writer.ts'
import { partsOfLetter, partsOfMessage, recordOf } from './queued-parts.ts'

/** Bytes of records after which a block ends. */
const BLOCK_BYTES = 64 * 1024

/** Turns the records of an archive into the ops of `COPY_STEP`. */
export class ArchiveWriter {
  private readonly link: BrokerLink
  private readonly identities = new Identities()
  private readonly now: number

  /** `now`: time of the copy. */
  constructor(link: BrokerLink, now: number) {
    this.link = link
    this.now = now
  }

  async opsOf(batch: Batch): Promise<Op[]> {
    switch (batch.kind) {
      case 'stream':
        return [streamOp(batch.stream)]
      case 'messages':
        return this.messages(batch.stream, batch.messages)
      case 'cursors': {
        const args = batch.cursors.flatMap(({ name, offset, usedAt = this.now }) => [name, `${offset}:${usedAt}`])
        return [{ name: 'cursors', args: [batch.stream, ...args] }]
      }
      case 'queue': {
        const { options, next, nextLetter } = batch.queue
        const args = [options.name, canonical(options), JSON.stringify(options), next, nextLetter]
        return [{ name: 'queue', args }]
      }
      case 'parked':
        return [{ name: 'parked', args: [batch.queue, ...batch.keys] }]
      case 'waiting': {
        const args = batch.messages.flatMap((each) => [each.seq, ...partsOfMessage(each, this.identities)])
        return [{ name: 'waiting', args: [batch.queue, ...args] }]
      }
      case 'letters': {
        const args = batch.letters.flatMap((each) => [each.letter, ...partsOfLetter(each, this.identities)])
        return [{ name: 'letters', args: [batch.queue, ...args] }]
      }
      case 'ids':
        return [{ name: 'ids', args: batch.chapters.flatMap(argsOfChapter) }]
    }
  }

  private async messages(stream: string, messages: readonly StreamMessage[]): Promise<Op[]> {
    const { number, keepsValues } = await this.streamOf(stream)
    const newest = await this.newestBefore(number, messages)
    const blocks: Argument[] = []
    for (const some of inBlocks(messages)) {
      const before = new Map(newest)
      for (const { topic, offset } of some) newest.set(topic, offset)
      const { member, last, head, records } = storedBlock(stream, some, (topic) => before.get(topic) as number)
      blocks.push(member, last, some.length, head, records)
    }
    const topics = [...newest].flat()
    const ops: Op[] = [
      { name: 'blocks', args: [stream, ...blocks] },
      { name: 'topics', args: [stream, ...topics] },
    ]
    if (!keepsValues) return ops
    const values = messages.flatMap(({ offset, content }) => [valueName(content.topic, content.key), offset])
    return [...ops, { name: 'values', args: [stream, ...values] }]
  }

  /** Whether it keeps last values, and knows all of them. */
  private async streamOf(name: string): Promise<{ number: number; keepsValues: boolean }> {
    const { keys } = this.link
    const record = JSON.parse(String(await this.link.ask('HGET', keys.declared('streams'), name))) as { n: number }
    const fields = (await this.link.ask('HMGET', keys.stream(record.n), 'lastValue', 'to')) as [string, string]
    return { number: record.n, keepsValues: fields[0] === '1' && fields[1] === '0' }
  }

  private async newestBefore(number: number, messages: readonly StreamMessage[]): Promise<Map<string, number>> {
    const topics = [...new Set(messages.map(({ content }) => content.topic))]
    const found = (await this.link.ask('HMGET', this.link.keys.topics(number), ...topics)) as (string | null)[]
    return new Map(topics.map((topic, at) => [topic, Number(found[at] ?? -1)]))
  }
}

function streamOp({ options, epoch, first, next, trimmedTo, newestTime, isIndexed }: ArchivedStream): Op {
  const { name, maxAgeMs, maxBytes, maxMessages, lastValue } = options
  const limits: Argument[] = [maxAgeMs, maxBytes, maxMessages ?? '', lastValue ? 1 : 0]
  const unindexed = lastValue && !isIndexed ? next : 0
  const state = [first, next, trimmedTo, newestTime, 0, unindexed]
  return { name: 'stream', args: [name, JSON.stringify(options), canonical(options), epoch, ...limits, ...state] }
}

function* inBlocks(messages: readonly StreamMessage[]): Iterable<KeptMessage[]> {
  let block: KeptMessage[] = []
  let bytes = 0
  for (const { offset, publishedAt: time, offsets, content } of messages) {
    const record = recordOf(content)
    block.push({ offset, time, topic: content.topic, record, offsets })
    bytes += record.length
    if (bytes < BLOCK_BYTES) continue
    yield block
    block = []
    bytes = 0
  }
  if (block.length > 0) yield block
}

function argsOfChapter({ time, ids }: IdChapter): Argument[] {
  return [
    time,
    ids.length,
    ...ids.flatMap(({ identity, streams, queues }) => {
      const places = [
        ...streams.map(([name, offset]) => `s${name}=${offset}`),
        ...queues.map(([name, seq]) => `q${name}=${seq}`),
      ]
      return [identity, places.join(',')]
    }),
  ]
}
