import { expect } from 'vitest'
import type { Broker, Delivery, Draft, Ending, QueueState } from '../../server/broker/broker.ts'
import { decodeBinary } from '../../shared/codec.ts'
import { FanfareError } from '../../shared/errors.ts'
import type { QueueOptions } from '../../shared/queues.ts'
import type { BrokerUnderTest } from '../setup/broker-under-test.ts'
import { type BrokerFactory, bytesInQueue, draftOf, leaseFrom, settleAt } from '../setup/brokers.ts'
import { type Card, type ModelLease, QueueModel } from './queue-model.ts'

/** Everything happens at whole steps of the clock, so that jitter makes no difference. */
export const STEP_MS = 100

export interface Publish {
  readonly key: string | undefined
  readonly priority: number
  readonly delay: number
  readonly expiry: number | undefined
  readonly pad: number
  readonly binary: boolean
}

export type Step = { readonly failing: boolean } & (
  | { readonly do: 'publish'; readonly messages: readonly Publish[] }
  | { readonly do: 'lease'; readonly count: number }
  | {
      readonly do: 'end'
      readonly which: number
      readonly kind: 'ack' | 'nack' | 'suspect' | 'reject'
      readonly delay?: number | undefined
    }
  | { readonly do: 'ack and publish'; readonly which: number; readonly messages: readonly Publish[] }
  | { readonly do: 'late'; readonly kind: 'ack' | 'nack' | 'suspect' | 'reject' }
  | { readonly do: 'lease again'; readonly which: number }
  | { readonly do: 'give back'; readonly which: number }
  | { readonly do: 'clock'; readonly by: number }
  | { readonly do: 'purge' | 'reopen' }
  | { readonly do: 'unpark'; readonly key: string }
  | { readonly do: 'redrive'; readonly limit: number; readonly twice: boolean }
  | { readonly do: 'purge letters'; readonly which: number }
)

/** The real one and the model, side by side. */
export class World {
  readonly model: QueueModel
  private readonly options: QueueOptions
  private readonly underTest: BrokerUnderTest
  private readonly outcomes = new Map<number, string>()
  private published = 0
  private lastDelivery = 0
  private lost: number | undefined = undefined
  private readonly seqs = new Map<number, number>()

  private constructor(options: QueueOptions, underTest: BrokerUnderTest) {
    this.options = options
    this.model = new QueueModel(options)
    this.underTest = underTest
  }

  static async start(brokers: BrokerFactory, options: QueueOptions): Promise<World> {
    // Time has its effect after a step, not between two commits of one that is slow.
    const underTest = await brokers.open({ dedupWindowMs: 1000, dedupIds: 100, onlyPassTime: true })
    await underTest.broker.declareQueue(options, false)
    return new World(options, underTest)
  }

  close(): Promise<void> {
    return this.underTest.close()
  }

  private get broker(): Broker {
    return this.underTest.broker
  }

  private get now(): number {
    return this.underTest.clock.now
  }

  async take(step: Step): Promise<void> {
    // A publish that waits for room may be tried in a commit that fails, which the model ignores.
    const fails = step.failing && this.options.overflow !== 'block' && step.do !== 'clock'
    this.underTest.failWith(fails ? new FanfareError('storage_failed') : undefined)
    await this.act(step, fails)
    this.underTest.failWith(undefined)
    await this.settled()
    this.model.pass(this.now)
    await this.compare()
  }

  private async act(step: Step, fails: boolean): Promise<void> {
    const { model, now } = this
    switch (step.do) {
      case 'publish':
        return this.publish(step.messages, fails)
      case 'lease':
        return this.lease(step.count)
      case 'clock':
        this.underTest.clock.now += step.by * STEP_MS
        return
      case 'lease again':
        return this.settleLate(step.which, fails)
      case 'purge': {
        const count = model.waiting.length
        // Nothing to be stored is nothing that can fail.
        if (fails && (count > 0 || this.underTest.failsFirst))
          return expect(this.broker.purgeQueue('q')).rejects.toMatchObject({ code: 'storage_failed' })
        model.waiting = []
        expect(await this.broker.purgeQueue('q')).toBe(count)
        return
      }
      case 'reopen':
        return this.reopen()
      case 'unpark': {
        const failed = fails ? 'storage_failed' : undefined
        const missing = model.parked.has(step.key) ? undefined : 'no_parked_group'
        const code = this.underTest.failsFirst ? (failed ?? missing) : (missing ?? failed)
        if (code === undefined) model.parked.delete(step.key)
        expect(await outcomeOf(this.broker.unpark('q', step.key))).toBe(code ?? 'done')
        return
      }
      case 'redrive':
        return this.redrive(step.limit, step.twice && !fails, fails)
      case 'purge letters': {
        const letters = await this.broker.deadLetters('q', {}, 0, 1000)
        const letter = letters[step.which % Math.max(1, letters.length)]
        if (!letter) return
        const purged = this.broker.purgeDeadLetters('q', [letter.letter])
        expect(await outcomeOf(purged)).toBe(fails ? 'storage_failed' : 'done')
        if (!fails) model.letters.splice(letters.indexOf(letter), 1)
        return
      }
      case 'late':
        if (this.lost === undefined) return
        expect(await this.settle(this.lost, 0, endingOf(step.kind), [])).toBe('lease_lost')
        return
      default: {
        const lease = model.leases[step.which % Math.max(1, model.leases.length)]
        if (lease) await this.withLease(step, lease, fails, now)
      }
    }
  }

  private async withLease(
    step: Extract<Step, { which: number }>,
    lease: ModelLease,
    fails: boolean,
    now: number,
  ): Promise<void> {
    const { model, broker } = this
    if (step.do === 'give back') {
      model.giveBack(lease)
      broker.giveBack('q', [lease.delivery])
      this.lost = lease.delivery
    } else if (step.do === 'ack and publish') {
      await this.ackAndPublish(lease, step.messages, fails)
    } else if (step.do === 'end') {
      const delayMs = step.delay === undefined ? undefined : step.delay * STEP_MS
      const settled = await this.settle(lease.delivery, this.seqOf(lease.card.n, 0), endingOf(step.kind, delayMs), [])
      expect(settled).toBe(fails ? 'storage_failed' : 'done')
      if (fails) return
      this.lost = lease.delivery
      const error = step.kind === 'nack' ? 'nacked' : 'rejected'
      if (step.kind === 'ack') model.release(lease)
      else if (step.kind === 'nack') model.fail(lease, error, delayMs, now)
      else if (step.kind === 'suspect') model.suspect(lease, 'suspected', now)
      else model.bury(model.release(lease), 'rejected', error, lease.card.attempts + 1)
    }
  }

  private async publish(messages: readonly Publish[], fails: boolean): Promise<void> {
    const drafts = messages.map((message) => this.draft(message))
    for (const [draft] of drafts) this.broker.publish(draft)
    if (fails) {
      const before = new QueueModel(this.options)
      Object.assign(before, { waiting: [...this.model.waiting], leases: [...this.model.leases] })
      for (const [, card] of drafts) before.publish(card, this.now)
      for (const [, { n }] of drafts) {
        this.model.outcome.set(n, this.failedAs(before.outcome.get(n) === 'kept', 'queue_limit'))
      }
    } else {
      for (const [, card] of drafts) this.model.publish(card, this.now)
    }
    // As many commits as it may take, all failing, before time has its effect.
    for (const _ of drafts) await this.broker.purgeDeadLetters('q', []).catch(() => {})
  }

  private async ackAndPublish(lease: ModelLease, messages: readonly Publish[], fails: boolean): Promise<void> {
    const { model, now } = this
    const drafts = messages.map((message) => this.draft(message))
    const cards = drafts.map(([, card]) => card)
    const waits = this.options.overflow === 'block' && (model.held.length > 0 || !model.fits(cards))
    const inFlight = model.leases.map(({ card }) => card)
    const makes = ['drop-oldest', 'dead-letter'].includes(this.options.overflow)
    const possible = !waits && (model.fits(cards) || (makes && model.fits(cards, inFlight)))
    const code = fails ? this.failedAs(possible, 'queue_limit') : possible ? 'done' : 'queue_limit'
    const ended = await this.settle(
      lease.delivery,
      this.seqOf(lease.card.n, 0),
      { kind: 'ack' },
      drafts.map(([draft]) => draft),
    )
    expect(ended).toBe(code)
    // What is not published is not told of.
    for (const { n } of cards) if (code !== 'queue_limit') model.outcome.set(n, code === 'done' ? 'kept' : code)
    if (code !== 'done') return
    model.makeRoom(cards)
    for (const card of cards) model.enter({ ...card, publishedAt: now })
    model.release(lease)
    this.lost = lease.delivery
  }

  private async lease(count: number): Promise<void> {
    const { model, now } = this
    const deliveries = await leaseFrom(this.broker, 'q', count)
    for (const delivery of deliveries) {
      const next = model.next(now)
      const [card] = next
      if (card?.n !== numberIn(delivery)) {
        throw new Error(`${numberIn(delivery)} was delivered, where ${next.map(({ n }) => n)} are next`)
      }
      expect([delivery.attempt, delivery.lastError]).toEqual([card.attempts + 1, card.error])
      expect(delivery.id).toBeGreaterThan(this.lastDelivery)
      this.lastDelivery = delivery.id as number
      expect(delivery.seq).toBe(this.seqOf(card.n, delivery.seq))
      model.lease(card, delivery.id as number)
    }
    // None is kept back.
    if (deliveries.length < count) expect(model.next(now)).toEqual([])
  }

  /** Of a message: the same at each attempt, and never that of another. */
  private seqOf(n: number, seq: number): number {
    const known = this.seqs.get(n)
    if (known === undefined) this.seqs.set(n, seq)
    return known ?? seq
  }

  /** Acks one that was on lease before, whether it waits or not. */
  private async settleLate(which: number, fails: boolean): Promise<void> {
    const [n, seq] = [...this.seqs][which % Math.max(1, this.seqs.size)] ?? []
    if (n === undefined || seq === undefined) return
    const { model } = this
    const card = model.waiting.find((each) => each.n === n)
    const code = fails ? this.failedAs(card !== undefined, 'lease_lost') : card ? 'done' : 'lease_lost'
    expect(await this.settle(undefined, seq, { kind: 'ack' }, [])).toBe(code)
    if (!card) return
    model.lease(card, 0)
    const lease = model.leases.at(-1) as ModelLease
    if (fails) model.giveBack(lease)
    else model.release(lease)
  }

  private async redrive(limit: number, twice: boolean, fails: boolean): Promise<void> {
    const { model, now, broker } = this
    const range = { from: 0, limit, bytes: Number.POSITIVE_INFINITY }
    const { numbers } = await broker.deadLetterNumbers('q', {}, range)
    const asked = model.letters.slice(0, limit)
    expect(numbers.length).toBe(asked.length)
    // Asked for twice at once: no letter is moved by both.
    for (const ask of Array.from({ length: twice ? 2 : 1 }, () => broker.redrive('q', numbers, 'q'))) {
      const letters = model.letters.filter((letter) => asked.includes(letter))
      const cards = letters.map(({ card }) => ({ ...card, ...ANEW, publishedAt: now }))
      const fits = model.fits(cards)
      const isStored = cards.length > 0 || this.underTest.failsFirst
      const code = fails && isStored ? this.failedAs(fits, 'queue_limit') : fits ? 'done' : 'queue_limit'
      expect(await outcomeOf(ask)).toBe(code)
      if (code !== 'done') continue
      model.letters = model.letters.slice(letters.length)
      for (const card of cards) {
        // A new message.
        this.seqs.delete(card.n)
        model.enter(card)
      }
    }
  }

  private async reopen(): Promise<void> {
    this.underTest.failWith(undefined)
    await this.underTest.reopen()
    this.model.reopen()
    this.lost = undefined
    this.lastDelivery = 0
  }

  /** Lets time have its effect, and waits until nothing is in progress. */
  private async settled(): Promise<void> {
    // Of those that wait for room each may have expired: it comes in, in a few rounds of its own, and goes.
    for (let rounds = 10 + 4 * this.model.held.length; rounds > 0; rounds--) {
      this.underTest.passTime()
      await this.broker.purgeDeadLetters('q', [])
    }
  }

  /** What becomes of something that cannot be stored, and that would be refused otherwise if it is not `possible`. */
  private failedAs(possible: boolean, refusal: string): string {
    return possible || this.underTest.failsFirst ? 'storage_failed' : refusal
  }

  private settle(id: number | undefined, seq: number, ending: Ending, drafts: readonly Draft[]): Promise<string> {
    return outcomeOf(settleAt(this.broker, { id, seq }, ending, { drafts }))
  }

  private draft({ key, priority, delay, expiry, pad, binary }: Publish): [Draft, Card] {
    const n = this.published++
    const data = binary ? new Uint8Array(pad) : 'é'.repeat(pad)
    const dueAt = delay === 0 ? undefined : this.now + delay * STEP_MS
    // No two at once, so that the order of their end is known.
    const expiresAt = expiry === undefined ? undefined : this.now + expiry * STEP_MS - 99 + (n % 97)
    const message = { owner: this, topic: 't', hubId: `${n}`, data, streams: [], queues: ['q'] }
    const draft = draftOf(
      this.broker,
      { ...message, key, expiresAt, priority, dueAt },
      {
        kept: () => this.outcomes.set(n, 'kept'),
        refused: ({ code }) => this.outcomes.set(n, code),
      },
    )
    const card = { n, key, priority, bytes: bytesInQueue(draft), expiresAt, dueAt: dueAt ?? 0 }
    return [draft, { ...card, publishedAt: this.now, attempts: 0, error: undefined }]
  }

  private async compare(): Promise<void> {
    const { model, now } = this
    expect(this.outcomes).toEqual(model.outcome)
    const [status] = await this.broker.queues()
    const delayed = model.waiting.filter(({ dueAt, key, n }) => {
      const first = model.waiting.find((each) => each.key === key)
      const busy = model.leases.some(({ card }) => card.key === key)
      return dueAt > now && (key === undefined || (first?.n === n && !busy))
    })
    expect(status).toMatchObject({
      depth: model.waiting.length,
      inFlight: model.leases.length,
      bytes: model.bytes,
      deadLetters: model.letters.length,
      oldestAgeMs: model.oldest ? now - model.oldest.publishedAt : 0,
      // A parked head waits for more than its time.
      ...(model.parked.size === 0 && { delayed: delayed.length }),
    })
    const { ready, startable, backlog } = this.broker.queue('q') as QueueState
    expect({ ready, startable }).toEqual(model.due(now))
    expect(backlog).toBeGreaterThanOrEqual(ready)
    expect(backlog).toBeLessThanOrEqual(model.waiting.length)
    expect([...(status?.parked ?? [])].sort()).toEqual([...model.parked].sort())
    const letters = await this.broker.deadLetters('q', {}, 0, 1000)
    expect(
      letters.map(({ message, reason, error, attempts }) => ({ n: Number(message.id), reason, error, attempts })),
    ).toEqual(model.letters.map(({ n, reason, error, attempts }) => ({ n, reason, error, attempts })))
    expect(await this.underTest.records()).toBeLessThanOrEqual(this.mostRecords())
  }

  /** What is done leaves nothing behind: a block and its bits, a failure, a letter, a parked group each, the queue, the count of numbers. */
  private mostRecords(): number {
    const { size, letters, parked } = this.model
    return 3 * size + letters.length + parked.size + 2
  }
}

/** A dead letter that is redriven is a new message. */
const ANEW = { attempts: 0, error: undefined, priority: 4, expiresAt: undefined, dueAt: 0 }

function endingOf(kind: 'ack' | 'nack' | 'suspect' | 'reject', delayMs?: number): Ending {
  if (kind === 'ack') return { kind }
  if (kind === 'suspect') return { kind, error: 'suspected' }
  return kind === 'nack' ? { kind, error: 'nacked', delayMs } : { kind, error: 'rejected' }
}

function numberIn({ wire }: Pick<Delivery, 'wire'>): number {
  const message = (typeof wire === 'string' ? JSON.parse(wire) : decodeBinary(wire)[0]) as { id: string }
  return Number(message.id)
}

function outcomeOf(result: Promise<unknown>): Promise<string> {
  return result.then(
    () => 'done',
    (error: FanfareError) => error.code,
  )
}
