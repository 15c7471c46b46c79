import type { Logger } from 'pino'
import { FanfareError } from '../../../shared/errors.ts'
import { listOf, type SpaceState } from './answers.ts'
import type { Barrier } from './barrier.ts'
import type { CommitLog } from './commit-log.ts'
import { missingIn } from './declare-ops.ts'
import { type BrokerLink, LinkLost } from './link.ts'
import { STATE } from './lua/reads.ts'
import type { PromiseCheck } from './promises.ts'
import type { RedisQueues } from './redis-queues.ts'
import type { Turns } from './turns.ts'
import type { Writer } from './writer.ts'

const BEAT_MS = 1_000
/** How often Redis is asked whether it still keeps what it acknowledges, in milliseconds. */
const LOOK_MS = 10_000

interface Parts {
  readonly link: BrokerLink
  readonly promise: PromiseCheck
  readonly writer: Writer
  readonly log: CommitLog
  readonly turns: Turns
  readonly barrier: Barrier
  readonly queues: RedisQueues
}

/** The place of this node in the space that all nodes share: takes it on each link, shows that it is there, and finds out what Redis has lost. */
export class Membership {
  /** How often Redis had lost everything. */
  renewals = 0
  private readonly link: BrokerLink
  private readonly promise: PromiseCheck
  private readonly writer: Writer
  private readonly log: CommitLog
  private readonly turns: Turns
  private readonly barrier: Barrier
  private readonly queues: RedisQueues
  private readonly logger: Logger
  private beatAt = performance.now()
  private lookedAt = performance.now()
  /** Counts the states that were asked for: only the newest is of use. */
  private asked = 0
  private first: Promise<void> | undefined = undefined

  constructor({ link, promise, writer, log, turns, barrier, queues }: Parts, logger: Logger) {
    this.link = link
    this.promise = promise
    this.writer = writer
    this.log = log
    this.turns = turns
    this.barrier = barrier
    this.queues = queues
    this.logger = logger
    writer.onLoss = () => this.lostCommits()
    writer.onForgotten = async () => this.dropUnsafe()
    writer.lessee = () => queues.lessee
    writer.onFenced = () => queues.fenced()
  }

  tick(): void {
    const now = performance.now()
    // If one of these fails, so does the link, which reports it.
    if (now - this.beatAt >= BEAT_MS) {
      this.beatAt = now
      void this.beat().catch(() => {})
    }
    if (now - this.lookedAt >= LOOK_MS) {
      this.lookedAt = now
      void this.promise.look().catch((error) => {
        if (error instanceof FanfareError) this.logger.error({ err: error }, 'this Redis can lose everything')
      })
    }
  }

  private async beat(): Promise<void> {
    void this.link.check().catch(() => {})
    // A turn finds out why the place is lost, and takes it again.
    const lapsed = await this.writer.beat()
    if (!lapsed) await this.turns.task({ name: 'look', args: [0] }, { frees: true })
    for (const lessee of lapsed ?? []) await this.queues.reap(lessee)
  }

  /** Resolves once the state of the first link is known. Rejects with `cluster_unreachable`. */
  async opened(): Promise<void> {
    await this.first
  }

  /** A link stands: takes the place of this node, and learns what was missed. */
  async linked(): Promise<void> {
    this.log.pause()
    this.barrier.startOver()
    await this.checkPromise()
    const { space, lost } = await this.writer.join(this.promise.isKept)
    if (lost) await this.lost(lost)
    if (this.writer.space === '') this.writer.space = space
    if (space === this.writer.space) {
      this.queues.lookSoon()
      // Not before the link stands: this waits for replicas.
      const synced = this.resync()
      const { asked } = this
      // Without the state, this link is of no use.
      synced.catch((error) => {
        if (asked === this.asked && this.link.isUp) this.link.lost(String(error))
      })
      this.first ??= synced
      return
    }
    // Redis has another space now: a turn notices, and declares again.
    void this.turns.task({ name: 'look', args: [0] }, { frees: true }).catch(() => {})
  }

  private async checkPromise(): Promise<void> {
    await this.promise.check(async () => {
      const { s, q } = await this.readState()
      return listOf(s).length + listOf(q).length > 0
    })
  }

  /** The Redis that took over may lack commits. If none of these was reported yet, they are dropped; otherwise a new incarnation begins. */
  private async lost({ from, turns }: { readonly from: number; readonly turns: number }): Promise<void> {
    if (from <= this.log.applied) {
      this.writer.countLoss(turns)
      this.logger.error({ turns }, 'Redis has lost commits that it had answered')
      await this.writer.join(true, true)
    }
    this.dropUnsafe()
  }

  private dropUnsafe(): void {
    this.turns.losses++
    this.log.dropUnsafe()
    this.barrier.drop()
  }

  /** Redis has lost what it had answered, whatever it promised. */
  private async lostCommits(): Promise<void> {
    await this.writer.join(true, true)
    this.dropUnsafe()
    this.barrier.startOver()
    await this.resync()
    this.barrier.reached(this.log.newest, this.writer.node)
  }

  /** Reads the state, and goes to it once it is safe: a Redis that is no longer the primary has commits that a failover takes back. */
  async resync(): Promise<void> {
    const asked = ++this.asked
    for (;;) {
      const state = await this.readState().catch((error) => {
        if (!(error instanceof LinkLost)) throw error
        throw new FanfareError('cluster_unreachable', 'Redis, which keeps streams, was lost while its state was read.')
      })
      if (state.space !== this.writer.space) return
      const isSafe = await this.barrier.covers(this.writer.node)
      if (asked !== this.asked) return
      if (isSafe) return this.log.jump(state)
      if (!this.log.isOpen) throw new FanfareError('cluster_unreachable', TOO_FEW)
    }
  }

  /** The newest commit of the primary: a Redis that is no longer the primary is not believed. */
  async newestCommit(read: () => Promise<number>): Promise<number> {
    for (;;) {
      const { links } = this.barrier
      const commit = await read()
      const isSafe = await this.barrier.covers(this.writer.node)
      if (isSafe && links === this.barrier.links) return commit
    }
  }

  private async readState(): Promise<SpaceState> {
    return JSON.parse(String(await this.link.read(STATE, ['']))) as SpaceState
  }

  /** Redis has lost everything, or is another one: declares again what was there. The offsets begin again, with new epochs. */
  async renew(): Promise<void> {
    this.renewals++
    this.logger.error('Redis has lost the data of this cluster: streams and queues are declared again, empty')
    this.log.pause()
    this.barrier.startOver()
    this.barrier.drop()
    // Before it joins, so that what it leases from now on is known as its own.
    this.queues.renewed()
    await this.writer.moveTo((await this.writer.join(true)).space, async () => {
      const ops = missingIn(await this.readState(), this.log)
      if (ops.length > 0) await this.writer.turn(ops, true)
      this.asked++
      this.log.jump(await this.readState(), true)
    })
  }
}

const TOO_FEW =
  'Redis has fewer replicas than clusterReplicas names, or they do not answer in time. Start the missing ones, or name fewer.'
