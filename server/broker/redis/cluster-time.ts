import type { Logger } from 'pino'
import { type Clock, wallTime } from '../../../shared/clock.ts'
import type { BrokerLink } from './link.ts'
import { SET_TIME, TIME } from './lua/reads.ts'

/** The clock of Redis may differ by this much from what a node expects, in milliseconds: it is taken as it is. */
const TOLERANCE_MS = 2_000
/** An answer that took longer tells too little about when Redis read its clock. */
const PRECISE_MS = 200
/** Times of positions that peers give are used as they are if the clocks agree so far, in milliseconds. */
const AGREE_MS = 1_000
/** A clock that is set more often in a moment is not followed. */
const MOST_ATTEMPTS = 5

/** What Redis says of the time: that of the cluster, and how far its own clock is ahead of it. */
export interface HeardTime {
  readonly time: number
  readonly ahead: number
}

/**
 * The time of the cluster. It is read from the clock of Redis, and runs on when that clock is set, or when another Redis with another clock takes over: each node knows
 * by its own steady clock what the time has to be. A call that Redis would do at another time is not done, and the node corrects `ahead` first.
 */
export class ClusterTime {
  private readonly link: BrokerLink
  private readonly clock: Clock
  private readonly isFixed: boolean
  private readonly log: Logger
  /** The time of the cluster when `performance.now()` was 0, as far as known. */
  private origin: number | undefined = undefined
  private ahead = 0

  /** `clock`: that of the hub. `isFixed`: a test has it, and the scripts take it for the time. */
  constructor(link: BrokerLink, clock: Clock, isFixed: boolean, log: Logger) {
    this.link = link
    this.clock = clock
    this.isFixed = isFixed
    this.log = log
  }

  /** Whether this node knew the time before it joined. */
  get isKnown(): boolean {
    return this.origin !== undefined
  }

  now(): number {
    return this.isFixed || this.origin === undefined ? this.clock.now() : Math.round(this.origin + performance.now())
  }

  /** The first argument of a script that must not run at another time. */
  get expected(): string {
    if (this.isFixed) return String(this.clock.now())
    return this.origin === undefined ? '' : `~${this.now()}`
  }

  /** The first argument of a script that may run at any time. */
  get any(): string {
    return this.isFixed ? String(this.clock.now()) : ''
  }

  /** A time that the hub's clock will show. */
  ofHub(time: number): number {
    return Math.max(1, time + this.now() - this.clock.now())
  }

  /** A time that a peer has given, as shown by the clock of this machine. */
  ofPeer(time: number): number {
    return Math.max(1, time + this.now() - wallTime(this.clock))
  }

  /** A time of a position in a stream, which a client may have from a message: it is not moved by what clocks usually differ. */
  ofPosition(time: number): number {
    const own = this.ofHub(time)
    return Math.abs(own - time) < AGREE_MS ? time : Math.min(own, time)
  }

  /** Before a node takes its place: compares what it knows. */
  async compare(node: string): Promise<void> {
    if (this.isFixed) return
    const sentAt = performance.now()
    const [time, ahead] = (await this.link.read(TIME, [''])) as [number, number]
    await this.settle({ time, ahead }, sentAt, node)
  }

  /**
   * Makes the time of the cluster run on, unless it does. Also if another node has corrected it: the clock may have
   * been set again since. Resolves to whether nothing was wrong: the call was late, and not the clock.
   */
  async settle(heard: HeardTime, sentAt: number, node: string): Promise<boolean> {
    if (this.agrees(heard, sentAt)) {
      this.learn(heard, sentAt)
      return true
    }
    for (let attempt = 0; attempt < MOST_ATTEMPTS && !this.agrees(heard, sentAt); attempt++) {
      const byMs = Math.round(heard.time - (this.origin as number) - (sentAt + performance.now()) / 2)
      sentAt = performance.now()
      const args = ['', node, heard.ahead, heard.ahead + byMs]
      const [isSet, time, ahead] = (await this.link.read(SET_TIME, args)) as [number, number, number]
      if (isSet === 1) this.log.warn({ byMs }, 'the clock of Redis was changed: the time of the cluster runs on')
      const isRefused = isSet === 0 && ahead === heard.ahead
      heard = { time, ahead }
      if (isRefused) break
    }
    this.learn(heard, sentAt)
    return false
  }

  /** Whether this is the time that it has to be; also if this node does not know yet. */
  private agrees({ time }: HeardTime, sentAt: number): boolean {
    if (this.origin === undefined) return true
    return time >= this.origin + sentAt - TOLERANCE_MS && time <= this.origin + performance.now() + TOLERANCE_MS
  }

  /** Redis has said the time in an answer to what was sent at `sentAt`. */
  learn({ time, ahead }: HeardTime, sentAt: number): void {
    const now = performance.now()
    const isPrecise = now - sentAt < PRECISE_MS
    if (this.origin !== undefined && ahead === this.ahead && !isPrecise) return
    this.origin = time - (sentAt + now) / 2
    this.ahead = ahead
  }
}
