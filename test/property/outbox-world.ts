import { pino } from 'pino'
import { expect } from 'vitest'
import { IN_MEMORY, loadBroker } from '../../server/broker/load-broker.ts'
import { InProcessBus } from '../../server/bus/in-process-bus.ts'
import { Outbox } from '../../server/connection/outbox.ts'
import { OutboxBudget } from '../../server/connection/outbox-budget.ts'
import type { OutboxOwner } from '../../server/connection/outbox-owner.ts'
import { WriteTurn } from '../../server/connection/write-turn.ts'
import type { Batch } from '../../server/engine/batch.ts'
import type { EngineSocket } from '../../server/engine/engine.ts'
import { UnexpectedErrors } from '../../server/failure/unexpected-errors.ts'
import { Traffic } from '../../server/monitor/traffic.ts'
import { Contracts } from '../../server/topic/contracts.ts'
import { Subscription } from '../../server/topic/subscription.ts'
import { type Keepers, Topics } from '../../server/topic/topics.ts'
import { realClock } from '../../shared/clock.ts'
import type { GapFrame, HubFrame, SlowPolicy } from '../../shared/frames.ts'
import { matchesPattern, parsePattern } from '../../shared/topic.ts'
import { ModelClient, type ModelSubscription } from './model-client.ts'

export const LIMIT = 32 * 1024
/** At most what the notices of gaps add where messages have given way already. */
const GAPS_BYTES = 2048
/** At least what a frame of the hub's own counts for here. */
const CONTROL_BYTES = 220
const PEERS = 3
/** The others say nothing of what they have handled. */
const PEERS_WITH_CHECKS = [1, 2]

export type Command =
  | { do: 'publish'; topic: string; key: string | undefined; size: number; binary: boolean; times: number }
  | { do: 'subscribe'; peer: number; sub: number; pattern: string; policy: SlowPolicy }
  | { do: 'unsubscribe' | 'pause' | 'resume'; peer: number; sub: number }
  | { do: 'receipts'; peer: number; times: number }
  /** Messages for its subscriptions may be missing here. */
  | { do: 'missed'; peer: number }
  /** The engine takes this many more writes; the last of them leaves a rest. */
  | { do: 'stall'; peer: number; writes: number }
  /** The rest has gone out. */
  | { do: 'drain'; peer: number; writes: number }
  /** The handlers have been through what came before this many checks. */
  | { do: 'answer'; peer: number; times: number }
  | { do: 'pass'; ms: number }
  | { do: 'turn' }

const NOTHING_KEPT: Keepers = { streamsOf: () => [], bindingsOf: () => [], hasQueue: () => false }

/** Nothing is kept. */
const NO_WORK = await loadBroker(IN_MEMORY, { dedupWindowMs: 1, dedupIds: 1, lockWaitMs: 0 }, pino({ enabled: false }))

/** Some outboxes that share a turn and a budget as in a hub, with sockets that stall and drain on command. */
export class World {
  readonly budget: OutboxBudget
  readonly peers: readonly PeerModel[]
  private now = 1_000_000
  /** What was published under an id, for conclusions on keys. */
  readonly published = new Map<string, { topic: string; key: string | undefined }>()
  private readonly topics = new Topics(
    NO_WORK,
    new InProcessBus(),
    NOTHING_KEPT,
    new Contracts(undefined, pino({ enabled: false })),
    realClock,
    new UnexpectedErrors(pino({ enabled: false })),
  )

  constructor(totalLimit: number) {
    this.budget = new OutboxBudget(totalLimit)
    const turn = new WriteTurn({ ...realClock, now: () => this.now })
    this.peers = Array.from({ length: PEERS }, (_, n) => {
      return new PeerModel(turn, this.budget, this.topics, PEERS_WITH_CHECKS.includes(n))
    })
  }

  async run(commands: readonly Command[]): Promise<void> {
    for (const command of commands) {
      await this.step(command)
      for (const peer of this.peers) peer.checkBound()
      expect(this.budget.bytes).toBe(this.peers.reduce((sum, { outbox }) => sum + outbox.heldBytes, 0))
      expect(this.budget.bytes).toBeLessThanOrEqual(this.budget.limit)
    }
  }

  /** Sends everything that waits, and checks that each client can tell what became of every message. */
  async finish(): Promise<void> {
    await endOfTurn()
    for (const peer of this.peers) {
      peer.socket.drain(Number.POSITIVE_INFINITY)
      for (const sub of peer.subscriptions.keys()) peer.resume(sub)
    }
    await endOfTurn()
    // An answer lets more be sent, which is checked again.
    while (this.peers.some((peer) => peer.answer(1))) await endOfTurn()
    for (const peer of this.peers) peer.check()
    expect(this.budget.bytes).toBe(0)
  }

  private async step(command: Command): Promise<void> {
    if (command.do === 'turn') await endOfTurn()
    else if (command.do === 'pass') this.now += command.ms
    else if (command.do === 'publish') for (let n = 0; n < command.times; n++) this.publish(command)
    else (this.peers[command.peer] as PeerModel).step(command)
  }

  private publish({ topic, key, size, binary }: Extract<Command, { do: 'publish' }>): void {
    const id = `m${this.published.size}`
    this.published.set(id, { topic, key })
    for (const peer of this.peers) peer.expect(id, topic)
    const data = binary ? new Uint8Array(size) : 'x'.repeat(size)
    this.topics.publish({ type: 'publish', seq: 0, id, topic, data, ...(key !== undefined && { key }) }, 'p', this, {
      published() {},
      notPublished() {},
    })
  }
}

interface Tracked {
  readonly subscription: Subscription
  readonly model: ModelSubscription
  /** Ids of all that was published for it. */
  readonly due: string[]
  /** How many of these came before each place where some may be missing. */
  losses: number[]
  /** How many of these were due when it was paused. */
  pausedAt: number | undefined
}

/** One connection: does to its outbox what connection.ts does, and remembers what its client is owed. */
export class PeerModel implements OutboxOwner {
  readonly client = new ModelClient()
  readonly socket: FakeSocket
  readonly outbox: Outbox
  readonly subscriptions = new Map<number, Tracked>()
  readonly all: Tracked[] = []
  ended: string | undefined
  private readonly topics: Topics
  private readonly checks: boolean
  private readonly sent: HubFrame[] = []
  private receiptsOwed = 0

  constructor(turn: WriteTurn, budget: OutboxBudget, topics: Topics, checks: boolean) {
    this.topics = topics
    this.checks = checks
    this.socket = new FakeSocket(this.client, () => this.outbox.drain())
    this.outbox = new Outbox(this.socket, { turn, budget, traffic: new Traffic(), limit: LIMIT }, this)
    this.outbox.receiptWindow = this
    if (checks) this.outbox.startChecks()
  }

  step(command: Exclude<Command, { do: 'turn' | 'publish' | 'pass' }>): void {
    if (command.do === 'answer') this.answer(command.times)
    else if (command.do === 'stall') this.socket.stall(command.writes)
    else if (command.do === 'drain') this.socket.drain(command.writes)
    else if (command.do === 'missed') this.missed()
    else if (command.do === 'receipts') this.receipts(command.times)
    else if (command.do === 'subscribe') this.subscribe(command)
    else if (command.do === 'unsubscribe') this.unsubscribe(command.sub)
    else if (command.do === 'pause') this.pause(command.sub)
    else this.resume(command.sub)
  }

  expect(id: string, topic: string): void {
    const words = topic.split('.')
    for (const { subscription, due } of this.subscriptions.values()) {
      if (matchesPattern(subscription.words, words)) due.push(id)
    }
  }

  resume(sub: number): void {
    const tracked = this.subscriptions.get(sub)
    if (!tracked) return
    tracked.pausedAt = undefined
    this.outbox.resume(tracked.subscription)
    this.send({ type: 'resumed', sub })
  }

  /** False: it was not asked. */
  answer(times: number): boolean {
    const checks = this.client.checks.splice(0, times)
    for (const n of checks) this.outbox.checked(n)
    return checks.length > 0
  }

  receiptsSent(count: number): void {
    this.receiptsOwed -= count
  }

  feedFailed(): void {
    throw new Error('No stream feeds anything here')
  }

  failed(error: unknown): void {
    throw error
  }

  overflow(code: string): void {
    this.ended ??= code
    this.outbox.release()
    if (code === 'outbox_total') return
    const waiting = this.sent.length - this.client.controls.length
    const strict = this.all.some(({ subscription }) => subscription.policy === 'disconnect')
    expect(strict || waiting * CONTROL_BYTES > LIMIT - GAPS_BYTES, 'was ended without a reason').toBe(true)
  }

  checkBound(): void {
    // To frames of the hub's own, what is on the line does not count.
    const onLine = Math.max(this.socket.bufferedBytes, this.checks ? LIMIT / 2 : 0)
    expect(this.outbox.heldBytes - onLine).toBeLessThanOrEqual(LIMIT + GAPS_BYTES)
  }

  check(): void {
    for (const { model, due, losses } of this.all) {
      const links: Span[] = []
      const told = tellsOf(model, due, links)
      if (this.ended) continue
      expect(told, 'messages are missing without a gap').toBe(due.length)
      for (const at of losses) {
        const isTold = links.some(({ from, to }) => from <= at && at <= to)
        expect(isTold, `what was missed after ${at} messages is not told at its place`).toBe(true)
      }
    }
    expect(this.client.controls).toEqual(this.sent.slice(0, this.client.controls.length))
    if (this.ended) return
    expect(this.client.controls).toHaveLength(this.sent.length)
    expect(this.receiptsOwed).toBe(0)
    expect(this.outbox.heldBytes).toBe(0)
    expect(this.outbox.deliveredTotal, 'delivered and not counted').toBe(this.client.messages)
    for (const { subscription, model } of this.subscriptions.values()) {
      const told = model.seen.reduce((sum, each) => sum + (typeof each === 'object' ? (each.count ?? 0) : 0), 0)
      expect(subscription.droppedTotal, 'left out and not counted').toBe(told)
    }
  }

  private subscribe({ sub, pattern, policy }: Extract<Command, { do: 'subscribe' }>): void {
    if (this.ended || this.subscriptions.has(sub)) return
    const subscription = new Subscription(this.outbox, sub, parsePattern(pattern), undefined, policy)
    const tracked = { subscription, model: this.client.subscribe(pattern), due: [], losses: [], pausedAt: undefined }
    this.subscriptions.set(sub, tracked)
    this.all.push(tracked)
    this.subscriptionsChanged()
    this.topics.subscribe(subscription, () => this.send({ type: 'subscribed', sub }))
  }

  private unsubscribe(sub: number): void {
    const tracked = this.subscriptions.get(sub)
    if (!tracked) return
    this.subscriptions.delete(sub)
    this.topics.unsubscribe(tracked.subscription)
    // What a paused one was owed goes with it.
    const { pausedAt } = tracked
    if (pausedAt !== undefined) {
      tracked.losses = tracked.losses.filter((at) => at < pausedAt)
      tracked.due.length = pausedAt
    }
    this.outbox.forget(tracked.subscription)
    this.subscriptionsChanged()
    this.send({ type: 'unsubscribed', sub })
  }

  private missed(): void {
    for (const { subscription, losses, due } of this.subscriptions.values()) {
      losses.push(due.length)
      this.outbox.missed(subscription)
    }
  }

  private pause(sub: number): void {
    const tracked = this.subscriptions.get(sub)
    if (!tracked) return
    tracked.pausedAt ??= tracked.due.length
    this.outbox.pause(tracked.subscription)
    this.send({ type: 'paused', sub })
  }

  private receipts(times: number): void {
    for (let n = 0; n < times; n++) {
      this.receiptsOwed++
      const receipt: HubFrame = { type: 'receipt', seq: this.sent.length, id: 'an-id' }
      this.sent.push(receipt)
      this.outbox.sendReceipt(JSON.stringify(receipt))
    }
  }

  private send(frame: HubFrame): void {
    this.sent.push(frame)
    this.outbox.send(frame)
  }

  private subscriptionsChanged(): void {
    this.outbox.subscriptionsAre(new Map([...this.subscriptions].map(([sub, { subscription }]) => [sub, subscription])))
  }
}

/** A gap by a policy: it has all three. */
type PolicyGap = Required<Pick<GapFrame, 'count' | 'from' | 'to'>>

/** Numbers of messages. */
interface Span {
  readonly from: number
  readonly to: number
}

/**
 * Walks through what a client saw: how many of `due`, from the first on, it can tell the fate of. Adds to `links` between how many of them it
 * saw that others may be missing.
 */
function tellsOf({ seen }: ModelSubscription, due: readonly string[], links: Span[]): number {
  let at = 0
  for (let n = 0; n < seen.length; ) {
    const from = n
    while (typeof seen[n] === 'object') n++
    const all = seen.slice(from, n) as GapFrame[]
    const gaps = all.filter(({ reason }) => reason !== 'link') as PolicyGap[]
    const missing = due.slice(at, at + gaps.reduce((sum, { count }) => sum + count, 0))
    for (const gap of gaps) {
      const span = missing.indexOf(gap.to) - missing.indexOf(gap.from) + 1
      expect(missing, 'a gap does not stand where its messages are missing').toContain(gap.from)
      expect(missing, 'a gap does not stand where its messages are missing').toContain(gap.to)
      expect(gap.count).toBeGreaterThan(0)
      expect(span, 'a gap counts more messages than lie between its ends').toBeGreaterThanOrEqual(gap.count)
    }
    if (gaps.length > 0) {
      expect(gaps.map((gap) => gap.from)).toContain(missing[0])
      expect(gaps.map((gap) => gap.to)).toContain(missing.at(-1))
    }
    if (gaps.length < all.length) links.push({ from: at, to: at + missing.length })
    at += missing.length
    if (n < seen.length) expect(seen[n++], 'a message is out of its place').toBe(due[at++])
  }
  return at
}

/** What a kernel does, on command. */
class FakeSocket implements EngineSocket {
  bufferedBytes = 0
  private writes = Number.POSITIVE_INFINITY
  private readonly client: ModelClient
  private readonly drained: () => void

  constructor(client: ModelClient, drained: () => void) {
    this.client = client
    this.drained = drained
  }

  stall(writes: number): void {
    this.writes = writes
  }

  drain(writes: number): void {
    this.writes = writes
    if (this.bufferedBytes === 0) return
    this.bufferedBytes = 0
    this.drained()
  }

  write(batch: Batch): boolean {
    expect(this.bufferedBytes, 'was written to before it had drained').toBe(0)
    for (const part of batch.parts) this.client.receive(part)
    if (this.writes-- > 0) return true
    this.bufferedBytes = batch.framed.length
    return false
  }

  ping(): void {}
  setReading(): void {}
  close(): void {}
  terminate(): void {}
}

/** The turn has ended, and with it all that it set in motion. */
function endOfTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
