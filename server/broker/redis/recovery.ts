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

interface Parts {
  readonly link: BrokerLink
  readonly writer: Writer
  readonly log: CommitLog
  readonly barrier: Barrier
  readonly turns: Turns
  readonly queues: RedisQueues
  readonly promise: PromiseCheck
}

/** What a node does on each new link: takes its place again, and learns what it has missed, and what Redis has lost. */
export class Recovery {
  private readonly parts: Parts
  private readonly logger: Logger
  /** Counts the states that were asked for: only the newest is of use. */
  private asked = 0
  private first: Promise<void> | undefined = undefined

  constructor(parts: Parts, logger: Logger) {
    this.parts = parts
    this.logger = logger
  }

  /** Resolves once the state of the first link is known. Rejects with `cluster_unreachable`. */
  async opened(): Promise<void> {
    await this.first
  }

  /** A link stands. */
  async linked(): Promise<void> {
    const { writer, log, barrier, turns, queues, promise } = this.parts
    log.pause()
    barrier.linked()
    await promise.check(async () => {
      const { s, q } = await this.readState()
      return listOf(s).length + listOf(q).length > 0
    })
    const { space, lostFrom } = await writer.join(promise.isKept)
    if (lostFrom !== undefined) await this.lost(lostFrom)
    if (writer.space === '') writer.space = space
    if (space === writer.space) {
      queues.lookSoon()
      // Not before the link stands: this waits for replicas.
      const synced = this.resync()
      synced.catch(() => {})
      this.first ??= synced
      return
    }
    // Redis has another space now: a turn notices, and declares again.
    void turns.task({ name: 'look', args: [0] }, { frees: true }).catch(() => {})
  }

  /** The Redis that took over may lack commits. If none of these was reported yet, they are dropped; otherwise a new incarnation begins. */
  async lost(from: number): Promise<void> {
    const { writer, log, barrier } = this.parts
    if (from <= log.applied) await writer.join(true, true)
    log.dropUnsafe()
    barrier.drop()
  }

  /** Redis has lost what it had answered, whatever it promised. */
  async lostCommits(): Promise<void> {
    await this.lost(0)
    await this.resync()
  }

  /** Reads the state, and goes to it once it is safe: a Redis that is no longer the primary has commits that a failover takes back. */
  async resync(): Promise<void> {
    const { writer, log, barrier } = this.parts
    const asked = ++this.asked
    for (;;) {
      const state = await this.readState().catch((error) => {
        if (!(error instanceof LinkLost)) throw error
        throw new FanfareError('cluster_unreachable', 'Redis, which keeps streams, was lost while its state was read.')
      })
      if (state.space !== writer.space) return
      const isSafe = await barrier.covers(writer.node)
      if (asked !== this.asked) return
      if (isSafe) return log.jump(state)
      if (!log.isOpen) throw new FanfareError('cluster_unreachable', TOO_FEW)
    }
  }

  /** The newest commit of the primary: a Redis that is no longer the primary is not believed. */
  async newestCommit(read: () => Promise<number>): Promise<number> {
    const { writer, barrier } = this.parts
    for (;;) {
      const { links } = barrier
      const commit = await read()
      const isSafe = await barrier.covers(writer.node)
      if (isSafe && links === barrier.links) return commit
    }
  }

  /** Redis has lost everything, or is another one: declares again what was there. The offsets begin again, with new epochs. */
  async renew(): Promise<void> {
    const { writer, log, barrier, queues } = this.parts
    this.logger.error('Redis has lost the data of this cluster: streams and queues are declared again, empty')
    log.pause()
    barrier.drop()
    writer.renewed((await writer.join(true)).space)
    queues.renewed()
    const ops = missingIn(await this.readState(), log)
    if (ops.length > 0) await writer.turn(ops, true)
    this.asked++
    log.jump(await this.readState(), true)
  }

  private async readState(): Promise<SpaceState> {
    return JSON.parse(String(await this.parts.link.read(STATE, ['']))) as SpaceState
  }
}

const TOO_FEW =
  'Redis has fewer replicas than clusterReplicas names, or they do not answer in time. Start the missing ones, or name fewer.'
