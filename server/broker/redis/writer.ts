import type { Buffer } from 'node:buffer'
import type { Logger } from 'pino'
import { FanfareError } from '../../../shared/errors.ts'
import { randomId } from '../../id/random-id.ts'
import type { TurnAnswer } from './answers.ts'
import type { ClusterTime, HeardTime } from './cluster-time.ts'
import type { Keys } from './keys.ts'
import { type Argument, type BrokerLink, LinkLost } from './link.ts'
import { FORMAT } from './lua/prelude.ts'
import { BEAT, JOIN, LEAVE } from './lua/reads.ts'
import { TURN, TURN_WITHOUT_ROOM } from './lua/turn.ts'

/** How long a turn waits for a link before it gives up, in milliseconds. */
const LINK_WAIT_MS = 5_000
/** A node that gives no sign of life for so long has left. */
const LAPSE_MS = 5_000
/** More than can be answered and not yet safe on the replicas. */
const REMEMBERED_TURNS = 10_000

/** The part of a turn that a script does: its name, and what it gets. */
export interface Op {
  readonly name: string
  readonly args: readonly Argument[]
  /** About what it costs Redis, in microseconds; by default little. */
  readonly micros?: number
}

/** The space is another one than before: Redis was flushed, or is a new one. */
export class SpaceGone extends Error {}

/** This node was taken for gone, and has joined again. Nothing of the turn was done: clients may have gone to other hubs with what it publishes. */
export class TakenForGone extends FanfareError {
  constructor() {
    super('cluster_unreachable', 'This hub gave no sign of life for too long. Nothing was stored; try again.')
  }
}

/** What a node finds when it joins. */
export interface Place {
  readonly space: string
  /** Redis has lost turns that it had answered to this node: the first commit among them, or infinity if none made one; and how many they are. */
  readonly lost: { readonly from: number; readonly turns: number } | undefined
}

/** What a node learns each time it shows that it is there. */
interface Beat {
  readonly incarnation: number
  /** Whose leases are to be returned: those of nodes that are gone. */
  readonly lapsed: readonly string[]
}

/** What follows the space in the answer of `JOIN`. */
type Joined = [seq: number, isNew: number, time: number, ahead: number, hadReplicas: number]

const NEW_EPOCHS = 'Redis was restarted or replaced, and may have lost something: all streams have a new epoch'

interface Refused extends Partial<HeardTime> {
  readonly x: string
  readonly last?: number
  readonly format?: string
}

/**
 * Sends the turns of a node, one at a time and each with its number. Redis remembers the answer to the last one, so a turn that is sent again after a lost
 * link is done once.
 */
export class Writer {
  node = randomId(10)
  space = ''
  /** How often Redis turned out to have lost what it had answered, and how many turns. */
  losses = 0
  lostTurns = 0
  /** It has, just now. */
  onLoss: () => Promise<void> = async () => {}
  /** What a turn has come to. */
  onAnswer: (answer: TurnAnswer) => void = () => {}
  /** Redis does not know which turns this node has sent. */
  onForgotten: () => Promise<void> = async () => {}
  private readonly link: BrokerLink
  private readonly name: string
  private readonly time: ClusterTime
  private readonly log: Logger
  private readonly replicas: number
  private seq = 0
  /** Whose leases in queues those of this node are. */
  lessee: () => string = () => ''
  /** This node was taken for gone. */
  onFenced: () => void = () => {}
  /** The commits of the last turns: of those that made one. */
  private readonly commits = new Map<number, number>()
  /** The outcome of the last turn is unknown. Redis may still get it, on its way through a link that was lost: its number is not used again. */
  private isUncertain = false
  /** Redis no longer knows what this node has sent. */
  private isForgotten = false

  /** `replicas`: those that are waited for. */
  constructor(link: BrokerLink, name: string, replicas: number, time: ClusterTime, log: Logger) {
    this.replicas = replicas
    this.link = link
    this.name = name
    this.time = time
    this.log = log
    link.inbox = this.node
  }

  /**
   * Takes the place of this node, at the start and after the link was lost. `isLossless`: another run of this Redis has everything that the one before has
   * answered. `hasLost`: it has turned out that it has not.
   */
  async join(isLossless: boolean, hasLost = false): Promise<Place> {
    const isFirstTime = !this.time.isKnown
    await this.time.compare(this.node)
    const run = /run_id:(\w+)/.exec(await this.info('server'))?.[1] ?? ''
    const replicas = await this.replicasThere()
    const how = [run, isLossless ? 1 : 0, hasLost ? 1 : 0, this.replicas, replicas, this.lessee()]
    const wasUncertain = this.isUncertain
    const unknown = wasUncertain ? this.seq + 1 : 0
    const args = [this.time.any, this.node, this.name, LAPSE_MS, randomId(10), ...how, unknown, isFirstTime ? 1 : 0]
    const sentAt = performance.now()
    const joined = (await this.link.read(JOIN, args)) as [Buffer, ...Joined] | [Buffer]
    if (joined.length === 1) throw mayNotJoin(String(joined[0]), this.link.keys)
    const [space, seq, isNew, time, ahead, hadReplicas] = joined
    if (hadReplicas >= 0)
      this.log.warn({ isLossless, hasLost, hadReplicas, clusterReplicas: this.replicas }, NEW_EPOCHS)
    // The first hub of all takes the clock of Redis as it is.
    if (isFirstTime) this.time.learn({ time, ahead }, sentAt)
    else await this.time.settle({ time, ahead }, sentAt, this.node)
    // It was away for so long that what it had sent is forgotten.
    if (isNew === 1 && this.seq > 0) this.isForgotten = true
    const lost = this.lostAfter(seq, isNew === 1)
    // A turn that is given up meanwhile is for the next join.
    if (wasUncertain) {
      this.seq++
      this.isUncertain = false
    } else if (isNew === 1 || seq < this.seq) this.seq = seq
    return { space: String(space), lost }
  }

  /** What is missing after a turn. If nothing is known of this node, what was reported before is taken for kept. */
  private lostAfter(seq: number, isNew: boolean): Place['lost'] {
    if (seq >= this.seq) return undefined
    let from = Number.POSITIVE_INFINITY
    if (!isNew) for (const [turn, commit] of this.commits) if (turn > seq) from = Math.min(from, commit)
    return { from, turns: this.seq - seq }
  }

  private async replicasThere(): Promise<number> {
    return Number(/connected_slaves:(\d+)/.exec(await this.info('replication'))?.[1] ?? 0)
  }

  /** Where INFO is not permitted, nothing tells. */
  private async info(section: string): Promise<string> {
    const info = this.link.ask('INFO', section).catch((error) => {
      if (error instanceof LinkLost) throw error
      return ''
    })
    return String(await info)
  }

  /** Makes another space what the one before was. If that fails, the next turn finds the space gone once more. */
  async moveTo(space: string, makeIt: () => Promise<void>): Promise<void> {
    const before = this.space
    this.space = space
    try {
      await makeIt()
    } catch (error) {
      this.space = before
      throw error
    }
  }

  /** Shows that this node is there. Gives what it learns; or undefined: it has lost its place. */
  async beat(): Promise<Beat | undefined> {
    const replicas = await this.replicasThere()
    const sentAt = performance.now()
    const answer = await this.link.read(BEAT, [this.time.expected, this.node, LAPSE_MS, replicas])
    if (answer === null) return undefined
    const [time, ahead, isOff, incarnation, lapsed] = answer as readonly [
      number,
      number,
      number,
      number,
      readonly unknown[],
    ]
    if (isOff === 1) await this.time.settle({ time, ahead }, sentAt, this.node)
    else this.time.learn({ time, ahead }, sentAt)
    return { incarnation, lapsed: lapsed.map(String) }
  }

  /** Gives up the place of this node, as the last thing that it does. */
  async leave(): Promise<void> {
    await this.link.read(LEAVE, [this.time.any, this.node])
  }

  /**
   * Does some ops in one step. Rejects with `SpaceGone`, and with a `FanfareError`: `outcome_unknown` if they may have been done, and any other, such
   * as `TakenForGone`, if they have not. `needsRoom`: Redis may refuse them for lack of memory.
   */
  async turn(ops: readonly Op[], needsRoom: boolean): Promise<TurnAnswer> {
    const args = ops.flatMap(({ name, args }) => [name, args.length, ...args])
    const since = performance.now()
    let wasSent = false
    let wasLate = false
    this.isForgotten = false
    for (;;) {
      if (wasSent && this.isForgotten) throw new FanfareError('outcome_unknown')
      const left = LINK_WAIT_MS - (performance.now() - since)
      if (!(await this.link.standsWithin(Math.max(0, left)))) throw this.givenUp(wasSent)
      try {
        // It was given up while the link came back, after this node had joined.
        if (this.isUncertain) await this.join(true)
        // Redis may be so slow that each call comes late.
        const head = [wasLate ? this.time.any : this.time.expected, this.space, this.node, this.seq + 1]
        const sentAt = performance.now()
        const answer = await this.send(needsRoom, [...head, ...args])
        if (!('x' in answer)) {
          this.seq++
          if (answer.e) this.commits.set(this.seq, answer.c)
          else this.commits.delete(this.seq)
          this.commits.delete(this.seq - REMEMBERED_TURNS)
          this.onAnswer(answer)
          return answer
        }
        if (answer.x === 'CLOCK') wasLate = await this.time.settle(answer as HeardTime, sentAt, this.node)
        else await this.recover(answer)
        if (answer.x === 'FENCED' && !wasSent) throw new TakenForGone()
      } catch (error) {
        // What was sent before may have been done although Redis refuses it now, for lack of memory.
        if (wasSent && error instanceof FanfareError) throw this.givenUp(wasSent)
        if (!(error instanceof LinkLost)) throw this.known(error)
        wasSent ||= !error.isRefused
      }
    }
  }

  private async send(needsRoom: boolean, args: readonly Argument[]): Promise<TurnAnswer | Refused> {
    const reply = await this.link.turn(needsRoom ? TURN : TURN_WITHOUT_ROOM, args)
    const [answer, ...leased] = (Array.isArray(reply) ? reply : [reply]) as Buffer[]
    return { ...(JSON.parse(String(answer)) as TurnAnswer | Refused), leased }
  }

  private async recover({ x, last, format }: Refused): Promise<void> {
    if (x === 'GONE') throw new SpaceGone()
    if (x === 'FORMAT') {
      const { message } = otherFormat(String(format))
      this.log.error(message)
      return this.link.lost(message)
    }
    if (x === 'FENCED') {
      this.log.warn('this node gave no sign of life for too long, and joins the others again')
      this.onFenced()
      const { lost } = await this.join(true)
      if (lost) await this.onForgotten()
      return
    }
    // Redis has gone back.
    this.countLoss(this.seq - (last ?? 0))
    this.log.error({ had: this.seq, has: last }, 'Redis has lost commits that it had answered')
    this.seq = last ?? 0
    await this.onLoss()
  }

  countLoss(turns: number): void {
    this.losses++
    this.lostTurns += turns
  }

  private givenUp(wasSent: boolean): FanfareError {
    if (wasSent) this.isUncertain = true
    return new FanfareError(
      wasSent ? 'outcome_unknown' : 'cluster_unreachable',
      wasSent
        ? undefined
        : `Redis, which keeps streams and queues, ${stateOf(this.link.cause)}. Nothing was stored; try again.`,
    )
  }

  private known(error: unknown): unknown {
    if (error instanceof FanfareError || error instanceof SpaceGone) return error
    // A script that fails in the middle is not undone.
    if (String(error).startsWith('ReplyError')) {
      this.log.error({ err: error }, 'a turn failed in Redis')
      return new FanfareError('outcome_unknown')
    }
    return error
  }
}

/** For clients: without addresses. */
function stateOf(cause: string): string {
  if (/\bMISCONF\b/.test(cause)) return 'cannot write to its disk'
  if (/ have format \d/.test(cause)) return 'has data of another version of the hub'
  if (/\bNOREPLICAS\b/.test(cause)) return 'has too few replicas to take writes'
  if (/\bREADONLY\b|it is a replica/.test(cause)) return 'is a replica now'
  return 'cannot be reached'
}

function otherFormat(format: string): FanfareError {
  return new FanfareError(
    'bad_config',
    `The streams and queues in Redis have format ${format}, and this version knows format ${FORMAT} only. Use the version that has written them, or another clusterPrefix.`,
  )
}

/** Why no node may join a space. */
function mayNotJoin(why: string, keys: Keys): FanfareError {
  if (why === 'COPYING') {
    return new FanfareError(
      'data_locked',
      `The data of prefix ${keys.name} is being copied. Wait until that has ended.`,
    )
  }
  if (why !== 'UNFINISHED') return otherFormat(why)
  return new FanfareError(
    'data_unusable',
    `Redis holds an unfinished copy with the prefix ${keys.name}. Run fanfare copy again to finish it, or use another prefix.`,
  )
}
