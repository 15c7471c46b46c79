import type { Buffer } from 'node:buffer'
import type { Logger } from 'pino'
import type { Clock, Timer } from '../../../shared/clock.ts'
import { FanfareError } from '../../../shared/errors.ts'
import type { DeadLetter, DeadLetterFilter, QueueOptions, QueueStatus } from '../../../shared/queues.ts'
import { steadyClock } from '../../../shared/steady-clock.ts'
import type { CursorInfo, Position, StreamInfo, StreamOptions } from '../../../shared/streams.ts'
import { UnexpectedErrors } from '../../failure/unexpected-errors.ts'
import type {
  Block,
  Broker,
  BrokerEvents,
  CursorRange,
  Delivery,
  DeliveryId,
  Draft,
  QueueState,
  Settlement,
  StreamState,
  WaitingStatus,
} from '../broker.ts'
import { FailedCommits } from '../failed-commits.ts'
import type { LetterNumbers, LetterRange } from '../letter-pages.ts'
import { alreadyExists, DEFAULT_MAX_BYTES, isDeclared } from '../rules/declarations.ts'
import { Barrier } from './barrier.ts'
import { ClusterTime } from './cluster-time.ts'
import { CommitLog } from './commit-log.ts'
import { LETTER_STEPS } from './costs.ts'
import { Damage } from './damage.ts'
import { declareStreamOp } from './declare-ops.ts'
import { Inbox } from './inbox.ts'
import type { BrokerLink } from './link.ts'
import { Membership } from './membership.ts'
import { PromiseCheck } from './promises.ts'
import { PublishOps } from './publish-op.ts'
import { RedisQueues } from './redis-queues.ts'
import { RedisStatus } from './redis-status.ts'
import { type CursorLimits, StreamCursors } from './stream-cursors.ts'
import { StreamInfos } from './stream-infos.ts'
import type { StreamMirror } from './stream-mirror.ts'
import { StreamReads } from './stream-reads.ts'
import type { Task } from './turn-tasks.ts'
import { Turns } from './turns.ts'
import { Upkeep } from './upkeep.ts'
import { WaitingDrafts } from './waiting-drafts.ts'
import { type Op, Writer } from './writer.ts'

export interface RedisBrokerOptions {
  /** Of this node, for people. */
  readonly name: string
  readonly dedupWindowMs: number
  readonly dedupIds: number
  /** Replicas that must have a commit before anything of it leaves this node. */
  readonly replicas: number
  /** Whether Redis has to keep what it has acknowledged when it ends unexpectedly. `strict`: or there are no streams. */
  readonly durability: 'strict' | 'relaxed'
  /** No limit by default. */
  readonly cursorsPerStream?: number
  readonly cursorIdleMs?: number
  /** Bytes of publishes that wait for room in queues; 0, the default, means unlimited. */
  readonly waitingPublishBytes?: number
  /** In tests, the time for Redis, too. By default the time of the cluster, see `cluster-time.ts`. */
  readonly clock?: Clock
  /** Where callbacks that throw are reported; its own by default. */
  readonly unexpected?: UnexpectedErrors
}

/** How often retention is looked at, in milliseconds. */
const TICK_MS = 100

/**
 * A broker whose state is in Redis, for all nodes of a cluster. Each node sends what it changes in numbered turns (`turns.ts`), and hears what the others have
 * committed (`commit-log.ts`).
 */
export class RedisBroker implements Broker {
  readonly defaultMaxBytes = DEFAULT_MAX_BYTES.redis
  readonly letterSteps = LETTER_STEPS
  private readonly link: BrokerLink
  private readonly writer: Writer
  private readonly log: CommitLog
  private readonly turns: Turns
  private readonly barrier: Barrier
  private readonly membership: Membership
  private readonly reads: StreamReads
  private readonly upkeep: Upkeep
  private readonly cursorsOf: StreamCursors
  private readonly infos: StreamInfos
  private readonly waitingDrafts: WaitingDrafts
  private readonly queuesOf: RedisQueues
  private readonly clock: Clock
  private readonly timer: Timer
  private connecting: Promise<void> | undefined = undefined
  private readonly promise: PromiseCheck
  private readonly failures: FailedCommits
  readonly remote: RedisStatus
  private isClosed = false

  constructor(link: BrokerLink, options: RedisBrokerOptions, logger: Logger) {
    const { clock: hubClock = steadyClock, dedupWindowMs: windowMs, dedupIds: limit } = options
    this.link = link
    this.failures = new FailedCommits(logger)
    this.promise = new PromiseCheck(link, options.durability, options.replicas, logger)
    const time = new ClusterTime(link, hubClock, options.clock !== undefined, logger)
    const clock: Clock = { ...hubClock, now: () => time.now() }
    const unexpected = options.unexpected ?? new UnexpectedErrors(logger)
    this.writer = new Writer(link, options.name, options.replicas, time, logger)
    this.log = new CommitLog(unexpected, () => void this.membership.resync().catch(() => {}))
    const isSafe = (commit: number) => this.log.isSafe(commit)
    this.barrier = new Barrier(link, options.replicas, isSafe, () => this.log.giveUp())
    const renew = () => this.membership.renew()
    const ops = new PublishOps({ windowMs, limit }, time)
    const bytesOf = (draft: Draft) => ops.bytesInQueue(draft, this.log.streams)
    this.waitingDrafts = new WaitingDrafts(this.log, options.waitingPublishBytes ?? 0, bytesOf)
    this.turns = new Turns(this.writer, ops, this.log, this.waitingDrafts, renew, unexpected, this.failures)
    this.turns.onStandstill = (ms, refused) => logger.warn({ ms: Math.round(ms), refused }, 'this hub stood still')
    this.turns.onSilent = (answer, lost) => this.barrier.passed(this.writer.node, answer, lost)
    this.turns.onCommit = (commit) => this.barrier.reached(commit, this.writer.node)
    const damage = new Damage((queue) => this.log.queueOf(queue)?.options.name, logger)
    this.writer.onAnswer = (answer) => damage.inTurn(answer)
    this.reads = new StreamReads(link, time, (...block) => damage.inBlock(...block))
    this.upkeep = new Upkeep(this.log, this.turns, this.reads, () => clock.now())
    const limits: CursorLimits = {
      max: options.cursorsPerStream ?? Number.MAX_SAFE_INTEGER,
      idleMs: options.cursorIdleMs ?? 0,
    }
    this.cursorsOf = new StreamCursors(this.turns, this.reads, link.keys, limits)
    this.infos = new StreamInfos(this.reads, this.cursorsOf)
    this.queuesOf = new RedisQueues(this.log, this.turns, this.reads, this.waitingDrafts, clock)
    const { promise, writer, log, turns, barrier, queuesOf } = this
    const membership = new Membership({ link, promise, writer, log, turns, barrier, queues: queuesOf }, logger)
    this.membership = membership
    this.remote = new RedisStatus({ link, promise, writer, log, turns, barrier, membership, damage })
    link.events = {
      up: () => membership.linked(),
      down: () => this.log.pause(),
      hear: () => {
        const inbox = new Inbox()
        return (bytes) => unexpected.run('broker', () => this.received(inbox, bytes))
      },
    }
    this.clock = clock
    this.timer = clock.setInterval(() => this.tick(), TICK_MS).unref()
  }

  /** Connects, if it has not. Rejects with `cluster_unreachable` and `bad_config`. */
  connect(): Promise<void> {
    this.connecting ??= this.link
      .open()
      .then(() => this.membership.opened())
      .then(() => this.queuesOf.lookAtChanged())
    return this.connecting
  }

  async open(events: BrokerEvents): Promise<void> {
    await this.connect()
    this.log.events = events
    this.log.reportAll()
  }

  /** Everything that any node can have reported is in Redis. */
  async catchUp(): Promise<void> {
    const newest = () => this.reads.ask('HGET', this.link.keys.meta, 'commit').then((commit) => Number(commit ?? 0))
    for (let commit = Number.POSITIVE_INFINITY; this.log.applied < commit; ) {
      commit = await this.membership.newestCommit(newest)
      // It also resolves if that commit was lost, or takes too long to become safe.
      await this.log.reached(commit)
    }
  }

  get failedCommits(): Broker['failedCommits'] {
    return this.failures.counts
  }

  get failure(): string | undefined {
    return undefined
  }

  get generation(): number {
    return this.log.generation
  }

  publish(draft: Draft): void {
    this.turns.publish(draft)
  }

  withdraw(owner: object): void {
    this.turns.withdraw(owner)
  }

  get waiting(): WaitingStatus {
    return this.waitingDrafts.waiting
  }

  // Streams

  stream(name: string): StreamState | undefined {
    return this.log.streams.get(name)
  }

  async declareStream(options: StreamOptions, replace: boolean): Promise<void> {
    this.promise.mayKeep()
    const result = await this.turns.task(declareStreamOp(options, replace), {
      declares: true,
      // A hub starts although there is no memory, unless it declares something new.
      frees: isDeclared(this.log.streams.get(options.name), options),
    })
    if (result.x === 'EXISTS') {
      throw alreadyExists('stream', JSON.parse(result.o as string) as StreamOptions, options)
    }
  }

  async deleteStream(name: string): Promise<void> {
    const mirror = this.log.streams.get(name)
    await this.change(name, { name: 'deleteStream', args: [name] }, { declares: true, frees: true })
    if (mirror) this.reads.forget(mirror)
  }

  async trimStream(name: string, before: number): Promise<void> {
    const mirror = this.mirrorOf(name)
    await this.change(name, { name: 'trim', args: [mirror.number, before] }, { frees: true })
    if (this.log.streams.get(name) === mirror) await this.upkeep.step(mirror)
  }

  get streamNames(): Iterable<string> {
    return this.log.streams.keys()
  }

  async streams(names: Iterable<string> = this.streamNames): Promise<StreamInfo[]> {
    const mirrors = [...names].map((name) => this.log.streams.get(name)).filter((mirror) => mirror !== undefined)
    return Promise.all(mirrors.map((mirror) => this.infos.of(mirror)))
  }

  async read(stream: string, offset: number): Promise<Block | undefined> {
    return this.reads.read(this.mirrorOf(stream), offset)
  }

  async offsetAtTime(stream: string, time: number): Promise<number> {
    return this.reads.offsetAtTime(this.mirrorOf(stream), time)
  }

  async newest(stream: string, pattern: readonly string[], count: number, before?: number): Promise<number[]> {
    const mirror = this.mirrorOf(stream)
    const end = Math.min(before ?? mirror.next, mirror.next)
    await this.upkeep.indexed(mirror)
    return this.reads.newest(mirror, pattern, count, end)
  }

  async cursor(stream: string, name: string): Promise<Position | undefined> {
    return this.cursorsOf.get(this.mirrorOf(stream), name)
  }

  async cursors(stream: string, range: CursorRange): Promise<CursorInfo[]> {
    return this.reads.orUnreachable(() => this.cursorsOf.page(this.mirrorOf(stream), range))
  }

  async setCursor(stream: string, name: string, offset: number): Promise<void> {
    return this.cursorsOf.set(this.mirrorOf(stream), name, offset)
  }

  async deleteCursor(stream: string, name: string): Promise<void> {
    return this.cursorsOf.delete(this.mirrorOf(stream), name)
  }

  // Queues

  async declareQueue(options: QueueOptions, replace: boolean): Promise<void> {
    this.promise.mayKeep()
    return this.queuesOf.declare(options, replace)
  }

  deleteQueue(name: string): Promise<void> {
    return this.queuesOf.delete(name)
  }

  queue(name: string): QueueState | undefined {
    return this.log.queues.get(name)
  }

  get queueNames(): Iterable<string> {
    return this.log.queues.keys()
  }

  queues(names: Iterable<string> = this.queueNames): Promise<QueueStatus[]> {
    return this.queuesOf.statuses(names)
  }

  lease(queue: string, count: number, bytes: number): Promise<Delivery[]> {
    return this.queuesOf.lease(queue, count, bytes)
  }

  wireOf(_queue: string, delivery: DeliveryId): Promise<string | Uint8Array | undefined> {
    return this.queuesOf.wireOf(delivery)
  }

  settle(settlement: Settlement): void {
    this.queuesOf.settle(settlement)
  }

  giveBack(_queue: string, deliveries: readonly DeliveryId[]): void {
    this.queuesOf.giveBack(deliveries)
  }

  purgeQueue(name: string): Promise<number> {
    return this.queuesOf.purge(name)
  }

  unpark(queue: string, key: string): Promise<void> {
    return this.queuesOf.unpark(queue, key)
  }

  deadLetters(queue: string, filter: DeadLetterFilter, from: number, limit: number): Promise<DeadLetter[]> {
    return this.queuesOf.deadLetters(queue, filter, from, limit)
  }

  deadLetterNumbers(queue: string, filter: DeadLetterFilter, range: LetterRange): Promise<LetterNumbers> {
    return this.queuesOf.deadLetterNumbers(queue, filter, range)
  }

  redrive(queue: string, numbers: readonly number[], to: string): Promise<number> {
    return this.queuesOf.redrive(queue, numbers, to)
  }

  purgeDeadLetters(queue: string, numbers: readonly number[]): Promise<number> {
    return this.queuesOf.purgeDeadLetters(queue, numbers)
  }

  async close(): Promise<void> {
    if (this.isClosed) return
    this.isClosed = true
    this.clock.clearInterval(this.timer)
    await this.turns.finished()
    if (this.link.isUp) await this.queuesOf.close()
    await this.turns.finished()
    this.turns.close()
    // If that fails, the others notice after a while that this node is gone.
    if (this.link.isUp) await this.writer.leave().catch(() => {})
    this.barrier.close()
    this.log.close()
    await this.link.close()
  }

  /** Looks at what time changes: the retention of streams. */
  tick(): void {
    if (!this.link.isUp) return
    this.membership.tick()
    this.upkeep.look()
    this.queuesOf.tick()
  }

  /** Whether nothing is under way. */
  get idle(): boolean {
    return this.turns.idle
  }

  private mirrorOf(name: string): StreamMirror {
    const mirror = this.log.streams.get(name)
    if (!mirror) throw noStream(name)
    return mirror
  }

  private async change(name: string, op: Op, kind: Partial<Pick<Task, 'declares' | 'frees'>>): Promise<void> {
    const { x } = await this.turns.task(op, kind)
    if (x === 'GONE') throw noStream(name)
  }

  private received(inbox: Inbox, bytes: Buffer): void {
    const heard = inbox.take(bytes)
    if (!heard) return
    const { event, records } = heard
    if ('w' in event) return this.queuesOf.called(event)
    this.log.heard(event, records)
    this.barrier.reached(event.c, this.writer.node)
  }
}

function noStream(name: string): FanfareError {
  return new FanfareError('no_stream', `There is no stream "${name}". Declare it, or correct its name.`)
}
