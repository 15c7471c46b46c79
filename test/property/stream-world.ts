import { Buffer } from 'node:buffer'
import type { Broker } from '../../server/broker/broker.ts'
import { Selection } from '../../server/stream/chunk.ts'
import { realClock } from '../../shared/clock.ts'
import { decodeBinary, decodeText } from '../../shared/codec.ts'
import { matchesPattern } from '../../shared/topic.ts'
import type { BrokerUnderTest } from '../setup/broker-under-test.ts'
import { type BrokerFactory, publishTo, streamOptions } from '../setup/brokers.ts'

/** A message of the model; its offset is its number too. */
export interface Listed {
  readonly offset: number
  readonly time: number
  readonly topic: string
  readonly key: string | undefined
  readonly expired: boolean
}

export interface Publish {
  readonly topic: string
  readonly key: string | undefined
  readonly expired: boolean | undefined
  readonly bytes: number
  readonly binary: boolean
}

export type Step =
  | { readonly do: 'publish'; readonly messages: readonly Publish[]; readonly times: number }
  | { readonly do: 'clock'; readonly by: number }
  | { readonly do: 'trim'; readonly back: number }
  | { readonly do: 'lastValue' }
  | { readonly do: 'reopen' }

export interface Bounds {
  readonly maxAgeMs: number
  readonly maxMessages: number | undefined
  readonly lastValue: boolean
}

/** What a stream is, without blocks, tables, commits or compaction. */
export class Model {
  next = 0
  private list: Listed[] = []
  private lastTime = 0
  bounds: Bounds
  /** It has been one of last values, and compaction may have removed the others. */
  hasHoles: boolean
  hasSwitched = false

  constructor(bounds: Bounds) {
    this.bounds = bounds
    this.hasHoles = bounds.lastValue
  }

  /** Whether it can be one of last values, and is not already. */
  switchLastValue(): boolean {
    const { maxMessages, lastValue } = this.bounds
    if (lastValue || maxMessages !== undefined) return false
    this.bounds = { ...this.bounds, lastValue: true }
    this.hasHoles = true
    this.hasSwitched = true
    return true
  }

  publish({ topic, key, expired = false }: Publish, now: number): void {
    this.lastTime = Math.max(this.lastTime, now)
    this.list.push({ offset: this.next++, time: this.lastTime, topic, key, expired })
  }

  trim(before: number): void {
    this.list = this.list.filter(({ offset }) => offset >= before)
  }

  retain(now: number): void {
    const { maxAgeMs, maxMessages } = this.bounds
    this.list = this.list.filter(({ time }) => time >= now - maxAgeMs)
    if (maxMessages !== undefined) this.list = this.list.slice(-maxMessages)
  }

  get first(): number {
    return this.list[0]?.offset ?? this.next
  }

  /** What is there to be found, whether it has expired or not. */
  get standing(): readonly Listed[] {
    if (!this.bounds.lastValue) return this.list
    const newest = new Map(this.list.map((message) => [`${message.topic} ${message.key ?? ''}`, message]))
    return this.list.filter((message) => newest.get(`${message.topic} ${message.key ?? ''}`) === message)
  }

  matching(words: readonly string[]): readonly Listed[] {
    return this.standing.filter((message) => matchesPattern(words, message.topic.split('.')))
  }
}

export class Real {
  readonly underTest: BrokerUnderTest

  private constructor(underTest: BrokerUnderTest) {
    this.underTest = underTest
  }

  static async start(brokers: BrokerFactory, bounds: Bounds): Promise<Real> {
    const real = new Real(await brokers.open({ dedupWindowMs: 1000, dedupIds: 100 }))
    await real.broker.declareStream(streamOptions(bounds), false)
    return real
  }

  get broker(): Broker {
    return this.underTest.broker
  }

  get clock(): { now: number } {
    return this.underTest.clock
  }

  publish(first: number, messages: readonly Publish[]): Promise<unknown> {
    return Promise.all(
      messages.map(({ topic, key, expired, bytes, binary }, at) => {
        const n = first + at
        const data = binary ? new Uint8Array(bytes) : { n, pad: 'é'.repeat(bytes / 2) }
        const expiresAt = expired === undefined ? undefined : expired ? 1 : Number.MAX_SAFE_INTEGER
        return publishTo(this.broker, {
          topic,
          data,
          headers: { n: `${n}` },
          ...(key !== undefined && { key }),
          ...(expiresAt && { expiresAt }),
        })
      }),
    )
  }

  /** The numbers that a subscription would be sent, by way of the bytes that go over the wire. */
  async replay(from: number, words: readonly string[], chunk: number): Promise<number[]> {
    const selection = new Selection(words, undefined, realClock)
    const numbers: number[] = []
    for (let offset = from; ; ) {
      const block = await this.broker.read('s', offset)
      if (!block) return numbers
      for (let at = block.find(offset); at < block.count; ) {
        const [stretches, end] = selection.take(block, at, chunk, undefined)
        for (const { wires, binary } of stretches) numbers.push(...numbersIn(wires, binary))
        at = end
      }
      offset = block.lastOffset + 1
    }
  }
}

function numbersIn(wires: Uint8Array, binary: boolean): number[] {
  if (binary) return decodeBinary(wires).map((header) => Number((header as { headers: { n: string } }).headers.n))
  const messages = decodeText(`[${Buffer.from(wires).toString()}]`) as { data: { n: number } }[]
  return messages.map(({ data }) => data.n)
}

/** Takes a step; `meanwhile` is asked while its commit can be read and is not done. */
export async function take(step: Step, model: Model, real: Real, meanwhile: () => Promise<void>): Promise<void> {
  if (step.do === 'publish') {
    const messages = Array.from({ length: step.times }, () => step.messages).flat()
    // Of those that come many times over only the first may be large.
    const sized = messages.map((message, at) => (at < step.messages.length ? message : { ...message, bytes: 10 }))
    await during(real, () => real.publish(model.next, sized), meanwhile)
    for (const message of sized) model.publish(message, real.clock.now)
  } else if (step.do === 'clock') {
    real.clock.now += step.by
  } else if (step.do === 'trim') {
    await during(real, () => real.broker.trimStream('s', Math.max(0, model.next - step.back)), meanwhile)
    model.trim(model.next - step.back)
  } else if (step.do === 'lastValue') {
    if (model.switchLastValue()) await real.broker.declareStream(streamOptions(model.bounds), true)
  } else {
    await real.underTest.reopen()
  }
  // Any commit triggers retention and indexing; each time in a bounded step.
  for (let n = 0; n < 12; n++) await real.broker.trimStream('s', 0)
  model.retain(real.clock.now)
}

async function during(real: Real, change: () => Promise<unknown>, meanwhile: () => Promise<void>): Promise<void> {
  const { begun, release } = real.underTest.holdCommit()
  const done = change()
  // Some change nothing, and are not committed.
  const committing = await Promise.race([begun.then(() => true), done.then(() => false)])
  try {
    if (committing) await meanwhile()
  } finally {
    release()
    await done
  }
}
