import { type Batch, BatchBuilder } from '../engine/batch.ts'
import { Encoded } from '../topic/encoded.ts'

/** A check that the client has not answered. */
interface SentCheck {
  readonly n: number
  readonly at: number
  /** Everything up to here was written before it. */
  readonly position: number
  /** What was on the way when it was written, itself included, in bytes. */
  readonly onTheWay: number
  /** Nothing else was on the way: its answer takes as long as the line itself does. */
  readonly alone: boolean
}

/**
 * While the client keeps up it is asked after this many writes or bytes, and not before this many milliseconds have passed: a check and
 * its answer cost the hub as much as a write of thousands of bytes.
 */
const WRITES = 64
const BYTES = 16 * 1024
const INTERVAL_MS = 100
/** An answer that takes this much longer than the line itself means that the client has fallen behind, in milliseconds. */
const SLACK_MS = 50
/** The first bound: what a client can take is not known yet. */
const FIRST_BYTES = 8 * 1024
/** The smallest bound: less than this is on the way while the line itself is measured. */
const LEAST_BYTES = 256
/** The time of the line itself, until it has been measured, in milliseconds. */
const UNMEASURED_MS = 250
/** It is measured again if no answer has been quick for this long, in milliseconds. */
const STALE_MS = 10_000

/**
 * Asks a client in the byte stream what its handlers have been through, and bounds what is on the way to it: a page that is busy takes
 * megabytes into socket buffers, where no policy reaches them.
 *
 * From the time of an answer and what was on the way at the time of the check it knows how fast the client handles what it is sent.
 * Nothing is bounded while answers take no longer than the line itself and a slack. If they take longer, as much may be on the way as the
 * client handles in that time; it doubles in each round trip whose answer took half of the slack at most. A client that has not answered
 * within twice the slack is behind without an answer.
 */
export class Checks {
  /** Nothing may be written before an answer comes. */
  full = false
  private readonly most: number
  private sent = 0
  private handled = 0
  private bound: number
  private asked: SentCheck[] = []
  private last = { n: 0, at: 0, position: 0 }
  private writes = 0
  /** The time of the line itself, and when the last quick answer came. */
  private lineMs = UNMEASURED_MS
  private quickAt = 0
  /** While the line is measured: the bound from before, when the ping was sent, and the time of its answer. */
  private boundBefore: number | undefined
  private pingedAt: number | undefined
  private pongMs = Number.POSITIVE_INFINITY
  private doubledAt = 0
  private readonly ping: () => void

  /**
   * @param most - what counts for the outbox at most; a client that can have more before it is not bounded, in bytes
   * @param ping - sends a WebSocket ping. A browser answers it even while a page that is still loading leaves all else unread
   */
  constructor(most: number, ping: () => void) {
    this.most = most
    this.ping = ping
    this.bound = this.boundBefore = Math.min(FIRST_BYTES, most)
  }

  /** What may be on the way counts for the outbox, in bytes; it does not while nothing is bounded. */
  get heldBytes(): number {
    return this.full || Number.isFinite(this.bound) ? Math.min(this.onTheWay, this.most) : 0
  }

  /** How much the next write should have at most, in bytes. */
  get room(): number {
    return Math.max(1, Math.min(this.pieceBytes, this.bound - this.onTheWay))
  }

  /** Call with each write. Returns the check to write after it, if one is due. */
  writing(bytes: number, now: number, hubMs: number): Batch | undefined {
    const before = this.onTheWay
    this.sent += bytes
    this.writes++
    const check = this.isDue(now) ? this.ask(now, before) : undefined
    this.full = this.isFull(now - hubMs)
    return check
  }

  /** The check to write if nothing else may be written and no answer is to come. */
  lone(now: number): Batch | undefined {
    return this.full && this.asked.length === 0 ? this.ask(now, this.onTheWay) : undefined
  }

  /**
   * The client has been through everything before a check. False if it was not asked, or has answered already.
   *
   * @param hubMs - for how long the hub may have left the answer unread
   */
  answered(n: number, now: number, hubMs: number): boolean {
    const at = this.asked.findIndex((check) => check.n === n)
    const check = this.asked[at]
    if (!check) return false
    this.asked.splice(0, at + 1)
    this.handled = check.position
    this.learn(check, Math.max(0, now - hubMs - check.at), now)
    this.full = this.isFull(now - hubMs)
    return true
  }

  /**
   * A ping was answered.
   *
   * @param hubMs - for how long the hub may have left the answer unread
   */
  ponged(now: number, hubMs: number): void {
    if (this.pingedAt !== undefined) this.pongMs = Math.max(0, now - hubMs - this.pingedAt)
    this.pingedAt = undefined
  }

  /** A bound is what is handled in the time of the line and the slack: the client is asked twice in the slack. */
  private get pieceBytes(): number {
    return (this.bound * (SLACK_MS / 2)) / (this.lineMs + SLACK_MS)
  }

  private get onTheWay(): number {
    return this.sent - this.handled
  }

  private isDue(now: number): boolean {
    const unasked = this.sent - this.last.position
    // The first one stands right after the welcome, and measures the line.
    if (this.last.n === 0) return true
    if (unasked >= this.pieceBytes) return true
    if (this.asked.length > 0) return false
    return (this.writes >= WRITES || unasked >= BYTES) && now - this.last.at >= INTERVAL_MS
  }

  /** @param before - what was on the way before this write, in bytes */
  private ask(now: number, before: number): Batch {
    const n = this.last.n + 1
    const builder = new BatchBuilder()
    builder.add(new Encoded(`{"type":"check","n":${n}}`))
    const batch = builder.build()
    this.sent += batch.framed.length
    this.writes = 0
    this.last = { n, at: now, position: this.sent }
    const alone = this.boundBefore !== undefined && before < LEAST_BYTES
    if (alone) {
      this.pingedAt = now
      this.ping()
    }
    this.asked.push({ n, at: now, position: this.sent, onTheWay: this.onTheWay, alone })
    return batch
  }

  private isFull(now: number): boolean {
    const oldest = this.asked[0]
    return this.onTheWay >= this.bound || (oldest !== undefined && now - oldest.at > this.lineMs + 2 * SLACK_MS)
  }

  private learn({ alone, position, onTheWay }: SentCheck, ms: number, now: number): void {
    if (this.boundBefore !== undefined) {
      // What was written before the line had been emptied says nothing of it.
      if (!alone) return
      this.bound = this.boundBefore
      this.boundBefore = undefined
      this.lineMs = Math.min(ms, this.pongMs + 2 * SLACK_MS)
    }
    this.lineMs = Math.min(this.lineMs, ms)
    if (ms <= this.lineMs + SLACK_MS / 2) {
      this.quickAt = now
      if (position > this.doubledAt) this.double()
    } else if (ms > this.lineMs + SLACK_MS) {
      this.bound = Math.max(LEAST_BYTES, (onTheWay * (this.lineMs + SLACK_MS)) / ms)
    }
    if (ms > SLACK_MS && now - this.quickAt > STALE_MS) this.measure()
  }

  /** Empties the line first: a client that is always behind would pass its own time for that of the line. */
  private measure(): void {
    this.boundBefore = this.bound
    this.bound = LEAST_BYTES
    this.pongMs = Number.POSITIVE_INFINITY
  }

  private double(): void {
    this.doubledAt = this.sent
    this.bound = 2 * this.bound < this.most ? 2 * this.bound : Number.POSITIVE_INFINITY
  }
}
