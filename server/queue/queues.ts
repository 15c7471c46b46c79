import type { Logger } from 'pino'
import type { Clock } from '../../shared/clock.ts'
import { FanfareError } from '../../shared/errors.ts'
import { type Indexed, PatternIndex } from '../../shared/pattern-index.ts'
import type { QueueInfo, QueueOptions, QueueRates } from '../../shared/queues.ts'
import { parsePattern } from '../../shared/topic.ts'
import type { Broker, QueueState } from '../broker/broker.ts'
import { type Declared, withMaxBytes } from '../broker/rules/declarations.ts'
import type { UnexpectedErrors } from '../failure/unexpected-errors.ts'
import { type NameLimits, NameQuota } from '../limit/name-quota.ts'
import type { QueueBinding } from '../topic/topics.ts'
import type { Consumer } from './consumer.ts'
import { FAIR_MS } from './consumer-limits.ts'
import type { GivenUp } from './consumer-owner.ts'
import { DeadLetterActs } from './dead-letter-acts.ts'
import { Dealer } from './dealer.ts'
import { idIn } from './delivery-frames.ts'
import type { Lease } from './leases.ts'
import { Lookout } from './lookout.ts'
import { QueueMonitor } from './monitor.ts'
import type { QueueShares } from './queue-shares.ts'

interface BoundPattern extends QueueBinding, Indexed {
  /** Number of the queue: the order of queues in receipts. */
  readonly number: number
}

interface Queue {
  /** Increases with each declaration. */
  readonly number: number
  /** The bindings as declared. */
  declared: QueueOptions['bindings']
  bindings: readonly BoundPattern[]
  readonly consumers: Consumer[]
  readonly dealer: Dealer
  readonly monitor: QueueMonitor
  calledOut: boolean
  /** Deliveries whose ack deadline passed. */
  timedOutTotal: number
  /** What its idle consumers could take, as of a time. */
  readonly free: { at: number; credit: number }
}

/** The figures of a queue that are available at any time. */
export interface QueueFigures {
  readonly state: QueueState
  readonly rates: QueueRates
  readonly consumers: number
}

/** The queues of a hub: their bindings and their consumers. */
export class Queues {
  private readonly broker: Broker
  private readonly shares: QueueShares
  private readonly byName = new Map<string, Queue>()
  private readonly bindings = new PatternIndex<BoundPattern>()
  /** Operators' actions on dead letters. */
  readonly letters: DeadLetterActs
  private readonly quota: NameQuota
  private lastNumber = 0
  private lastDelivery = 0
  private readonly log: Logger
  private readonly clock: Clock
  private readonly unexpected: UnexpectedErrors
  private readonly lookout: Lookout<Consumer>
  /** Called when a queue was deleted. */
  onDelete: (name: string) => void = () => {}

  constructor(
    broker: Broker,
    shares: QueueShares,
    log: Logger,
    clock: Clock,
    unexpected: UnexpectedErrors,
    limits: NameLimits,
  ) {
    this.shares = shares
    this.unexpected = unexpected
    this.broker = broker
    this.log = log
    this.clock = clock
    this.quota = new NameQuota(limits, { names: this.byName, patterns: this.bindings })
    this.letters = new DeadLetterActs(broker, clock, (name) => this.byName.get(name))
    this.lookout = new Lookout(clock, (consumer, now) => this.lookAt(consumer, now))
  }

  /** Declares the queues of the configuration, which take precedence over their stored declarations. */
  async open(configured: readonly Declared<QueueOptions>[]): Promise<void> {
    // All at once, so that they share one commit.
    await Promise.all(configured.map((options) => this.broker.declareQueue(this.complete(options), true)))
  }

  // Events of the broker: nothing else changes which queues exist.

  declared({ name, bindings }: QueueOptions): void {
    let queue = this.byName.get(name)
    if (!queue) {
      const consumers: Consumer[] = []
      const dealer = new Dealer(name, consumers, this.broker, this.unexpected)
      const lists = { declared: [], bindings: [], consumers, dealer }
      const monitor = new QueueMonitor()
      const free = { at: 0, credit: 0 }
      queue = { number: ++this.lastNumber, ...lists, monitor, calledOut: false, timedOutTotal: 0, free }
      this.byName.set(name, queue)
    }
    this.bind(name, queue, bindings)
  }

  deleted(name: string): void {
    const queue = this.byName.get(name)
    this.byName.delete(name)
    this.shares.forget(name)
    for (const binding of queue?.bindings ?? []) this.bindings.remove(binding)
    this.onDelete(name)
    for (const consumer of [...(queue?.consumers ?? [])]) {
      consumer.fail(new FanfareError('no_queue', `The queue "${name}" was deleted.`))
    }
  }

  close(): void {
    this.letters.close()
    this.lookout.close()
  }

  has(name: string): boolean {
    return this.byName.has(name)
  }

  bindingsOf(words: readonly string[]): readonly QueueBinding[] {
    const unconditional = new Map<string, BoundPattern>()
    const conditional: BoundPattern[] = []
    for (const bindings of this.bindings.match(words)) {
      for (const binding of bindings) {
        if (binding.match === undefined) unconditional.set(binding.queue, binding)
        else conditional.push(binding)
      }
    }
    // A queue that takes every message needs no other reason.
    const others = conditional.filter(({ queue }) => !unconditional.has(queue))
    return [...unconditional.values(), ...others].sort((a, b) => a.number - b.number)
  }

  /** The options of a queue. Throws `no_queue`. */
  options(name: string): QueueOptions {
    const queue = this.broker.queue(name)
    if (!queue) throw new FanfareError('no_queue', `There is no queue "${name}". Declare it, or correct its name.`)
    return queue.options
  }

  // Consumers

  attach(consumer: Consumer): void {
    const { queue } = consumer.options
    const { consumers } = this.byName.get(queue) as Queue
    consumers.push(consumer)
    const [first] = consumers
    // The only consumer so far had none to share with.
    if (first && consumers.length === 2) this.lookBy(first, this.clock.now() + FAIR_MS)
    this.deal(queue)
  }

  detach(consumer: Consumer): void {
    const consumers = this.byName.get(consumer.options.queue)?.consumers
    const at = consumers?.indexOf(consumer) ?? -1
    if (at >= 0) consumers?.splice(at, 1)
    this.lookout.forget(consumer)
  }

  /** Something of a consumer is due at this time, or it has to be looked at for the sake of the others. */
  lookBy(consumer: Consumer, time: number): void {
    const shared = (this.byName.get(consumer.options.queue)?.consumers.length ?? 0) > 1
    this.lookout.lookBy(consumer, shared ? Math.min(time, fairTime(this.clock.now())) : time)
  }

  /** Reports a delivery whose ack deadline has passed. */
  ranOut(consumer: Consumer, lease: Lease, silent: boolean): void {
    const queue = this.byName.get(consumer.options.queue)
    if (queue) queue.timedOutTotal++
    this.logRanOut(consumer, lease, silent).catch((error: unknown) => this.unexpected.report('broker', error))
  }

  private async logRanOut({ options }: Consumer, { id, attempt }: Lease, silent: boolean): Promise<void> {
    const { queue, connection, consumer } = options
    const wire = id === undefined ? undefined : await this.broker.wireOf(queue, id)
    const message = wire === undefined ? undefined : idIn(wire)
    const why = silent ? '; its consumer is silent: its event loop may be blocked, or its handler hangs' : ''
    this.log.warn({ queue, connection, consumer, message, attempt }, `delivery timed out${why}`)
  }

  /** Takes a message from the consumer that has it, for one that has finished it after its deadline. */
  reclaim(name: string, seq: number): GivenUp | undefined {
    for (const consumer of this.byName.get(name)?.consumers ?? []) {
      const given = consumer.giveUp(seq)
      if (given) return given
    }
    return undefined
  }

  nextDelivery(): number {
    return ++this.lastDelivery
  }

  /** Hands out what is ready, once for all calls in this turn. */
  deal(name: string): void {
    this.byName.get(name)?.dealer.deal()
  }

  // Operators

  get count(): number {
    return this.byName.size
  }

  /** In the order of declaration. */
  get names(): Iterable<string> {
    return this.byName.keys()
  }

  /** Queues as operators see them; skips those that do not exist. */
  async list(names: readonly string[]): Promise<QueueInfo[]> {
    const infos = await this.broker.queues(names)
    return infos.flatMap((info) => {
      const queue = this.byName.get(info.name)
      if (!queue) return []
      const { monitor, consumers, timedOutTotal } = queue
      const elsewhere = this.shares.elsewhere(info.name)
      return [
        {
          ...info,
          ...this.shares.rates(info.name, monitor.rates),
          waitingPublishes: info.waitingPublishes + elsewhere.waiting,
          waitingPublishBytes: info.waitingPublishBytes + elsewhere.waitingBytes,
          timedOutTotal: timedOutTotal + elsewhere.timedOut,
          consumers: consumers.length + elsewhere.consumers,
        },
      ]
    })
  }

  /** Patterns of the topics that are bound to a queue. */
  topicsOf(name: string): readonly string[] {
    return this.byName.get(name)?.declared.map(({ topic }) => topic) ?? []
  }

  /** The figures of a queue without a full description: cheap enough to be read for every queue. */
  figures(name: string): QueueFigures | undefined {
    const queue = this.byName.get(name)
    const state = this.broker.queue(name)
    if (!queue || !state) return undefined
    const consumers = queue.consumers.length + this.shares.elsewhere(name).consumers
    return { state, rates: this.shares.rates(name, queue.monitor.rates), consumers }
  }

  async show(name: string): Promise<QueueInfo> {
    const [info] = await this.list([name])
    if (!info) throw new FanfareError('no_queue', `There is no queue "${name}". Declare it, or correct its name.`)
    return info
  }

  /** With `before` it has these options, and gets others. */
  async declare(declared: Declared<QueueOptions>, before?: QueueOptions): Promise<QueueInfo> {
    const options = this.complete(declared)
    const { name, bindings } = options
    const more = before ? bindings.length - before.bindings.length : 0
    const declare = () => this.broker.declareQueue(options, before !== undefined)
    await this.quota.declare(name, bindings.length, declare, more)
    return this.show(name)
  }

  private complete(options: Declared<QueueOptions>): QueueOptions {
    return withMaxBytes(options, this.broker.queue(options.name)?.options, this.broker.defaultMaxBytes)
  }

  async delete(name: string): Promise<void> {
    await this.broker.deleteQueue(name)
  }

  purge(name: string): Promise<number> {
    return this.broker.purgeQueue(name)
  }

  unpark(name: string, key: string): Promise<void> {
    return this.broker.unpark(name, key)
  }

  /** Whether a queue is at rest: nothing has changed, so there is nothing to compute. */
  isAtRest(name: string): boolean {
    const queue = this.byName.get(name)
    const state = this.broker.queue(name)
    return !queue || !state || queue.monitor.isAtRest(state)
  }

  /** Computes the rates of queues, and logs those that keep growing. Call once every `seconds` for each queue that is not at rest. */
  sample(names: readonly string[], seconds: number): void {
    for (const name of names) {
      const queue = this.byName.get(name)
      const state = this.broker.queue(name)
      if (!queue || !state) continue
      const { monitor, consumers } = queue
      const { depth, inFlight, ready, startable, backlog, publishedTotal, ackedTotal, dueTotal } = state
      const counts = { depth, inFlight, ready, startable, backlog, publishedTotal, ackedTotal, dueTotal }
      const elsewhere = this.shares.elsewhere(name)
      monitor.observe({ ...counts, busyConsumers: busyIn(consumers) + elsewhere.busy }, seconds)
      const rates = this.shares.rates(name, monitor.rates)
      if (rates.growing && !queue.calledOut) {
        this.log.warn(
          { queue: name, depth, ready, consumers: consumers.length + elsewhere.consumers, ...rates },
          'queue keeps growing: add consumers',
        )
      }
      queue.calledOut = rates.growing
    }
  }

  /** Collects what this node has of some queues, for the other nodes; `reportShares` sends what has changed. */
  addShares(names: readonly string[]): void {
    if (this.shares.alone) return
    for (const name of names) {
      const queue = this.byName.get(name)
      if (!queue) continue
      const { consumers, timedOutTotal: timedOut, monitor } = queue
      const { count: waiting, bytes: waitingBytes } = this.broker.waiting.inQueue(name)
      const own = { consumers: consumers.length, busy: busyIn(consumers), timedOut, waiting, waitingBytes }
      this.shares.has(name, own, monitor.rates)
    }
  }

  reportShares(): Promise<void> {
    return this.shares.report()
  }

  private bind(name: string, queue: Queue, declared: QueueOptions['bindings']): void {
    const { number } = queue
    for (const binding of queue.bindings) this.bindings.remove(binding)
    queue.declared = declared
    queue.bindings = declared.map(({ topic, match }) => ({
      queue: name,
      number,
      match,
      words: parsePattern(topic),
      slot: -1,
    }))
    for (const binding of queue.bindings) this.bindings.add(binding)
  }

  private lookAt(consumer: Consumer, now: number): number {
    let next = Number.POSITIVE_INFINITY
    this.unexpected.run('timer', () => {
      next = consumer.look(now)
      if (this.share(consumer, now)) next = Math.min(next, fairTime(now))
    })
    return next
  }

  /**
   * Recalls deliveries that wait in a busy client for the sake of idle consumers: half of them at a time, the youngest first.
   * Nothing is ready then, otherwise the idle ones would have it. Returns whether to look again soon.
   */
  private share(consumer: Consumer, now: number): boolean {
    const queue = this.byName.get(consumer.options.queue)
    if (!queue || queue.consumers.length < 2 || consumer.inFlightCount === 0) return false
    const { free } = queue
    if (free.at !== now) {
      free.at = now
      free.credit = queue.consumers.reduce((sum, { idle, credit }) => sum + (idle ? credit : 0), 0)
    }
    if (free.credit === 0) return true
    const waiting = consumer.recallable(now)
    const count = Math.min(free.credit, Math.ceil(waiting.length / 2))
    free.credit -= count
    if (count > 0) consumer.recall(waiting.slice(-count))
    return true
  }
}

/** How many consumers have something in flight. */
function busyIn(consumers: readonly Consumer[]): number {
  return consumers.reduce((sum, { inFlightCount }) => sum + (inFlightCount > 0 ? 1 : 0), 0)
}

/** When to look at a consumer that shares its queue: the same times for all, so that the queue's idle consumers are counted once. */
function fairTime(now: number): number {
  return (Math.floor(now / FAIR_MS) + 2) * FAIR_MS
}
