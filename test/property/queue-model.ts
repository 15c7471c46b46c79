import type { DeadReason, QueueOptions } from '../../shared/queues.ts'

/** A message of the model, under its number. */
export interface Card {
  readonly n: number
  readonly key: string | undefined
  readonly priority: number
  readonly bytes: number
  readonly expiresAt: number | undefined
  readonly dueAt: number
  readonly publishedAt: number
  readonly attempts: number
  readonly error: string | undefined
}

export interface ModelLease {
  readonly delivery: number
  readonly card: Card
}

export interface ModelLetter {
  readonly n: number
  readonly card: Card
  readonly reason: DeadReason
  readonly error: string | undefined
  readonly attempts: number
}

/** What a queue is: lists of cards, without heaps, blocks, stages and commits. */
export class QueueModel {
  /** In the order of their coming. */
  waiting: Card[] = []
  leases: ModelLease[] = []
  letters: ModelLetter[] = []
  /** Publishes that wait for room. */
  held: Card[] = []
  readonly parked = new Set<string>()
  /** What became of each publish: its refusal, or where its message is. Nothing as long as it waits for room. */
  readonly outcome = new Map<number, string>()
  /** The order of coming, by number. */
  private readonly order = new Map<number, number>()
  private last = 0
  private readonly options: QueueOptions

  constructor(options: QueueOptions) {
    this.options = options
  }

  get size(): number {
    return this.waiting.length + this.leases.length
  }

  get bytes(): number {
    return sum(this.waiting) + sum(this.leases.map(({ card }) => card))
  }

  get oldest(): Card | undefined {
    return this.waiting[0]
  }

  // Messages in

  publish(card: Card, now: number): void {
    const { overflow, maxBytes } = this.options
    if (overflow === 'block' && card.bytes <= maxBytes && (this.held.length > 0 || !this.fits([card]))) {
      this.held.push(card)
      return
    }
    this.outcome.set(card.n, this.makeRoom([card]) ? 'kept' : 'queue_limit')
    if (this.outcome.get(card.n) === 'kept') this.enter({ ...card, publishedAt: now })
  }

  /** Makes room as the overflow says, if that is possible at all. */
  makeRoom(cards: readonly Card[]): boolean {
    const { overflow } = this.options
    const inFlight = this.leases.map(({ card }) => card)
    const makes = overflow === 'drop-oldest' || overflow === 'dead-letter'
    if (!this.fits(cards) && !(makes && this.fits(cards, inFlight))) return false
    while (!this.fits(cards)) {
      const oldest = this.waiting.shift() as Card
      if (overflow === 'dead-letter') this.bury(oldest, 'overflow', undefined, oldest.attempts)
    }
    return true
  }

  enter(card: Card): void {
    this.order.set(card.n, ++this.last)
    this.waiting.push(card)
  }

  /** Those that waited for room, in order. */
  unhold(now: number): void {
    for (let card = this.held[0]; card && this.fits([card]); card = this.held[0]) {
      this.held.shift()
      this.outcome.set(card.n, 'kept')
      this.enter({ ...card, publishedAt: now })
    }
  }

  fits(cards: readonly Card[], beside: readonly Card[] = [...this.waiting, ...this.leases.map(({ card }) => card)]) {
    const { maxMessages, maxBytes } = this.options
    return beside.length + cards.length <= maxMessages && sum(beside) + sum(cards) <= maxBytes
  }

  // Deliveries

  /**
   * What is delivered next, in this order: of the due ones, heads of their groups, those of the highest priority, as they came.
   * Whatever has happened to one, it keeps its place.
   */
  next(now: number): Card[] {
    const inFlight = new Set(this.leases.flatMap(({ card }) => card.key ?? []))
    const seen = new Set<string>()
    const due: Card[] = []
    for (const card of this.waiting) {
      const { key, dueAt, expiresAt } = card
      const behind = key !== undefined && (seen.has(key) || inFlight.has(key) || this.parked.has(key))
      if (key !== undefined) seen.add(key)
      if (!behind && dueAt <= now && (expiresAt === undefined || expiresAt > now)) due.push(card)
    }
    const highest = Math.max(...due.map(({ priority }) => priority))
    return due.filter(({ priority }) => priority === highest)
  }

  /** How many of those that wait are due, and how many of these could be handed out at once. */
  due(now: number): { ready: number; startable: number } {
    const heads = new Map<string, Card>()
    const all = [...this.waiting, ...this.leases.map(({ card }) => card)].sort(
      (a, b) => this.placeOf(a) - this.placeOf(b),
    )
    for (const card of all) if (card.key !== undefined && !heads.has(card.key)) heads.set(card.key, card)
    let [ready, startable] = [0, 0]
    for (const card of this.waiting) {
      const head = card.key === undefined ? card : (heads.get(card.key) as Card)
      const isHeldUp = this.waiting.includes(head) && head.dueAt > now
      if (isHeldUp || (card.key !== undefined && this.parked.has(card.key))) continue
      ready++
      if (head === card) startable++
    }
    return { ready, startable }
  }

  lease(card: Card, delivery: number): void {
    this.waiting.splice(this.waiting.indexOf(card), 1)
    this.leases.push({ delivery, card })
  }

  release(lease: ModelLease): Card {
    this.leases.splice(this.leases.indexOf(lease), 1)
    return lease.card
  }

  giveBack(lease: ModelLease): void {
    this.comeBack(this.release(lease))
  }

  fail(lease: ModelLease, error: string | undefined, delayMs: number | undefined, now: number): void {
    const card = this.release(lease)
    const { maxAttempts, backoffBaseMs, backoffCapMs } = this.options
    const attempts = card.attempts + 1
    // Between half of it and all; the clock moves in steps that make no difference of it.
    const dueAt = now + (delayMs ?? Math.min(backoffCapMs, backoffBaseMs * 2 ** card.attempts))
    if (attempts >= maxAttempts) this.bury(card, 'attempts', error, attempts)
    else this.comeBack({ ...card, attempts, error, dueAt })
  }

  suspect(lease: ModelLease, error: string, now: number): void {
    const card = this.release(lease)
    const { backoffBaseMs, backoffCapMs } = this.options
    this.comeBack({ ...card, error, dueAt: now + Math.min(backoffCapMs, backoffBaseMs * 2 ** card.attempts) })
  }

  bury(card: Card, reason: DeadReason, error: string | undefined, attempts: number): void {
    this.letters.push({ n: card.n, card, reason, error: error ?? card.error, attempts })
    if (this.options.onDeadLetter === 'park' && card.key !== undefined) this.parked.add(card.key)
  }

  // Time

  /** What time does by itself: expiry, until nothing is left of it. */
  pass(now: number): void {
    for (;;) {
      this.unhold(now)
      const expired = this.waiting.filter(({ expiresAt = Number.POSITIVE_INFINITY }) => expiresAt <= now)
      if (expired.length === 0) break
      this.waiting = this.waiting.filter((card) => !expired.includes(card))
      for (const card of expired.sort((a, b) => (a.expiresAt as number) - (b.expiresAt as number))) {
        if (this.options.onExpiry === 'dead-letter') this.bury(card, 'expired', undefined, card.attempts)
      }
    }
    this.letters = this.letters.slice(-this.options.maxDeadLetters)
  }

  /** Leases and publishes that wait for room do not outlive the broker. */
  reopen(): void {
    for (const lease of [...this.leases]) this.giveBack(lease)
    this.held = []
  }

  private comeBack(card: Card): void {
    const at = this.waiting.findIndex((each) => this.placeOf(each) > this.placeOf(card))
    this.waiting.splice(at < 0 ? this.waiting.length : at, 0, card)
  }

  private placeOf(card: Card): number {
    return this.order.get(card.n) as number
  }
}

function sum(cards: readonly Card[]): number {
  return cards.reduce((bytes, card) => bytes + card.bytes, 0)
}
