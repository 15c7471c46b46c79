import { Buffer } from 'node:buffer'
import type { Broker, Kept } from '../../server/broker/broker.ts'
import { jsonMessage } from '../../server/broker/json-message.ts'
import type { FanfareError } from '../../shared/errors.ts'
import type { QueueOptions } from '../../shared/queues.ts'
import type { StreamOptions } from '../../shared/streams.ts'
import { leaseFrom, type Publish, publishTo, settleAt, streamOptions } from '../setup/brokers.ts'

/** Nothing that waits this long comes in the time of a test. */
const HOUR = 3_600_000
export const STREAMS = ['log', 'short', 'values'] as const
export const QUEUES = ['parks', 'small', 'other'] as const

export type Step =
  | { readonly do: 'publish'; readonly messages: readonly Wanted[] }
  | { readonly do: 'work'; readonly queue: string; readonly count: number; readonly ends: readonly End[] }
  | { readonly do: 'cursor' | 'trim'; readonly stream: string; readonly at: number }
  | { readonly do: 'purge' | 'redrive' | 'purgeLetter'; readonly queue: string }
  | { readonly do: 'redeclare'; readonly stream: string }
  | { readonly do: 'lastValue' }

export type End = 'ack' | 'retry' | 'retry later' | 'reject' | 'suspect' | 'keep'

export interface Wanted {
  readonly topic: string
  readonly id: string | undefined
  readonly publisher: string | undefined
  readonly key: string | undefined
  readonly headers: boolean
  readonly bytes: number
  readonly binary: boolean
  readonly expires: boolean
  readonly priority: number | undefined
  readonly isDelayed: boolean
  readonly streams: readonly string[]
  readonly queues: readonly string[]
}

function streamsOptions(): StreamOptions[] {
  return [
    streamOptions({ name: 'log', topics: ['a.#', 'b'] }),
    streamOptions({ name: 'short', maxMessages: 20, durability: 'disk' }),
    streamOptions({ name: 'values', lastValue: true }),
  ]
}

function queueOptions(name: string, more: Partial<QueueOptions> = {}): QueueOptions {
  return {
    name,
    bindings: [{ topic: 'a.#', match: { all: { kind: 'x' } } }],
    ackDeadlineMs: 30_000,
    maxAttempts: 3,
    backoffBaseMs: HOUR,
    backoffCapMs: 2 * HOUR,
    maxMessages: 1000,
    maxBytes: 10_000_000,
    overflow: 'reject',
    onExpiry: 'drop',
    onDeadLetter: 'continue',
    maxDeadLetters: 1000,
    ...more,
  }
}

export async function declareAll(broker: Broker): Promise<void> {
  for (const options of streamsOptions()) await broker.declareStream(options, false)
  await broker.declareQueue(queueOptions('parks', { onDeadLetter: 'park' }), false)
  await broker.declareQueue(
    queueOptions('small', { overflow: 'dead-letter', maxMessages: 10, maxDeadLetters: 6 }),
    false,
  )
  await broker.declareQueue(queueOptions('other', { overflow: 'drop-oldest', onExpiry: 'dead-letter' }), false)
}

/** Does a step. Refusals are part of it. */
export async function take(broker: Broker, step: Step): Promise<void> {
  const done = doStep(broker, step)
  await done.catch((error: FanfareError) => {
    if (!/queue_limit|no_parked|no_queue|no_stream/.test(error.code)) throw error
  })
}

async function doStep(broker: Broker, step: Step): Promise<void> {
  switch (step.do) {
    case 'publish':
      await Promise.allSettled(step.messages.map((wanted) => publishTo(broker, publishOf(wanted))))
      return
    case 'work':
      return work(broker, step.queue, step.count, step.ends)
    case 'cursor': {
      const { first, next } = broker.stream(step.stream) ?? { first: 0, next: 0 }
      return broker.setCursor(step.stream, `reader.${step.at % 3}`, Math.min(next, first + step.at))
    }
    case 'trim':
      return broker.trimStream(step.stream, (broker.stream(step.stream)?.first ?? 0) + step.at)
    case 'purge':
      return void (await broker.purgeQueue(step.queue))
    case 'redrive':
    case 'purgeLetter': {
      const { numbers } = await broker.deadLetterNumbers(step.queue, {}, { from: 0, limit: 2, bytes: 1e6 })
      if (step.do === 'redrive') await broker.redrive(step.queue, numbers, 'other')
      else await broker.purgeDeadLetters(step.queue, numbers)
      return
    }
    case 'redeclare':
      await broker.deleteStream(step.stream)
      return broker.declareStream(streamsOptions().find(({ name }) => name === step.stream) as StreamOptions, false)
    case 'lastValue': {
      const options = broker.stream('values')?.options as StreamOptions
      return broker.declareStream({ ...options, lastValue: !options.lastValue }, true)
    }
  }
}

async function work(broker: Broker, queue: string, count: number, ends: readonly End[]): Promise<void> {
  const leased = await leaseFrom(broker, queue, count)
  for (const [at, delivery] of leased.entries()) {
    const end = ends[at % ends.length] as End
    const error = `failed: "${delivery.seq}" ü`
    if (end === 'ack') await settleAt(broker, delivery, { kind: 'ack' }, { queue })
    else if (end === 'reject') await settleAt(broker, delivery, { kind: 'reject', error }, { queue })
    else if (end === 'suspect') await settleAt(broker, delivery, { kind: 'suspect', error }, { queue })
    else if (end !== 'keep') {
      const delayMs = end === 'retry' ? 0 : HOUR
      await settleAt(broker, delivery, { kind: 'nack', error, delayMs }, { queue })
    }
  }
}

export function publishOf(wanted: Wanted): Publish {
  const { topic, id, publisher, key, headers, bytes, binary, expires, priority, isDelayed, streams, queues } = wanted
  const data = binary ? Buffer.alloc(bytes, 7) : { text: 'ü"\\'.repeat(bytes / 4), n: 1.5e300 }
  const later = Math.floor(Date.now() / HOUR) * HOUR + 48 * HOUR
  return {
    ...{ topic, publisher, key, data, streams, queues, priority },
    ...(id === undefined ? { hubId: `hub-${bytes}` } : { id }),
    ...(headers && { headers: { kind: 'x', 'the other': '"' } }),
    ...(expires && { expiresAt: later }),
    ...(isDelayed && { dueAt: later }),
  }
}

/** Everything that can be seen of a broker. It takes out what can be taken out of the queues. */
export async function everythingIn(broker: Broker, wanted: readonly Wanted[]): Promise<object> {
  const streams = []
  // It answers once everything is indexed that `lastValue` was switched on over. Before, replaced values are still counted and read.
  for (const name of broker.streamNames) await broker.newest(name, ['#'], 1)
  for (const { bytes: _, oldestAt, cursors, ...info } of await broker.streams()) {
    const newest = await broker.newest(info.name, ['#'], 3)
    const positions = await broker.cursors(info.name, { limit: 100 })
    const messages = await messagesIn(broker, info.name)
    // Values that newer ones have replaced are not copied.
    const oldest = info.lastValue ? undefined : oldestAt
    streams.push({
      ...info,
      oldest,
      cursors,
      newest,
      positions: positions.map(({ usedAt, ...rest }) => rest),
      messages,
    })
  }
  const queues = []
  for (const { name, depth, ready, deadLetters, parked, ...status } of await broker.queues()) {
    const letters = await broker.deadLetters(name, {}, 0, 1000)
    const { bindings, overflow, maxAttempts, onDeadLetter } = status
    const options = { bindings, overflow, maxAttempts, onDeadLetter }
    queues.push({ name, ...options, depth, ready, deadLetters, parked: [...parked].sort(), letters })
  }
  const again: Kept[] = []
  for (const each of wanted) {
    if (each.id === undefined || each.queues.includes('small')) continue
    again.push(await publishTo(broker, publishOf(each)))
  }
  const deliveries = []
  for (const name of broker.queueNames) deliveries.push({ name, taken: await takeOut(broker, name) })
  return { streams, queues, again, deliveries }
}

async function messagesIn(broker: Broker, stream: string): Promise<object[]> {
  const messages: object[] = []
  let offset = broker.stream(stream)?.first ?? 0
  for (let block = await broker.read(stream, offset); block; block = await broker.read(stream, offset)) {
    for (let at = block.find(offset); at < block.count; at++) {
      if (block.isHidden(at)) continue
      const { scope: _, ...message } = jsonMessage(block.wire(at)) as { scope?: string }
      messages.push({ at: block.offset(at), time: block.time(at), expiresAt: block.expiresAt(at), ...message })
    }
    offset = block.lastOffset + 1
  }
  return messages
}

async function takeOut(broker: Broker, queue: string): Promise<object[]> {
  const taken: object[] = []
  for (let some = await leaseFrom(broker, queue, 3); some.length > 0; some = await leaseFrom(broker, queue, 3)) {
    for (const { id, seq, attempt, lastError, wire } of some) {
      const { publishedAt, ...message } = jsonMessage(wire) as { publishedAt?: number }
      taken.push({ seq, attempt, lastError, ...message })
      await settleAt(broker, { id, seq }, { kind: 'ack' }, { queue })
    }
  }
  return taken
}
