import { type Batch, BatchBuilder } from '../engine/batch.ts'
import { Encoded } from '../topic/encoded.ts'

/** A check that the client has not answered yet. */
interface SentCheck {
  readonly n: number
  readonly at: number
  /** Everything up to this position was written before the check. */
  readonly position: number
  /** Bytes on the way when the check was written, itself included. */
  readonly onTheWay: number
  /** Whether nothing else was on the way, so that its answer takes as long as the line itself. */
  readonly alone: boolean
}

/**
 * While the client keeps up, a check is sent after this many writes or bytes, and not before this many milliseconds have passed: a
 * check and its answer cost the hub as much as a write of thousands of bytes.
 */
const WRITES = 64
const BYTES = 16 * 1024
const INTERVAL_MS = 100
/** An answer that takes this much longer than the line itself means that the client has fallen behind, in milliseconds. */
const SLACK_MS = 50
/** The initial limit, while the client's speed is unknown. */
const FIRST_BYTES = 8 * 1024
/** The minimum limit: less than this is on the way while the round trip of the line is measured. */
const LEAST_BYTES = 256
/** Assumed round trip of the line until it has been measured, in milliseconds. */
const UNMEASURED_MS = 250
/** The line is measured again if no answer has been quick for this long, in milliseconds. */
const STALE_MS = 10_000

/**
 * Asks the client, within the byte stream, how far its handlers have got, and limits what is on the way to it: a busy page accepts
 * megabytes into socket buffers, where policies do not apply.
 *
 * The time of an answer and the bytes on the way at the time of the check show how fast the client handles messages. There is no
 * limit while answers take no longer than the line itself plus a slack. If they take longer, the limit is what the client handles
 * in that time; it doubles in each round trip whose answer took at most half of the slack. A client that has not answered within
 * twice the slack is behind, even without an answer.
 */
export class Checks {
  /** Nothing may be written until an answer arrives. */
  full = false
  private readonly most: number
  private sent = 0
  private handled = 0
  private bound: number
  private asked: SentCheck[] = []
  private last = { n: 0, at: 0, position: 0 }
  private writes = 0
  /** Round trip of the line itself, and when the last quick answer arrived. */
  private lineMs = UNMEASURED_MS
  private quickAt = 0
  /** While the line is measured: the previous limit, when the ping was sent, and the time of its answer. */
  private boundBefore: number | undefined
  private pingedAt: number | undefined
  private pongMs = Number.POSITIVE_INFINITY
  private doubledAt = 0
  private readonly ping: () => void

  /**
   * @param most - maximum bytes that count for the outbox; a limit above this means unlimited
   * @param ping - sends a WebSocket ping. A browser answers it even while a loading page leaves everything else unread
   */
  constructor(most: number, ping: () => void) {
    this.most = most
    this.ping = ping
    this.bound = this.boundBefore = Math.min(FIRST_BYTES, most)
  }

  /** Bytes on the way that count for the outbox; 0 while there is no limit. */
  get heldBytes(): number {
    return this.full || Number.isFinite(this.bound) ? Math.min(this.onTheWay, this.most) : 0
  }

  /** Recommended maximum size of the next write, in bytes. */
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

  /** The check to write if nothing else may be written and no answer is pending. */
  lone(now: number): Batch | undefined {
    return this.full && this.asked.length === 0 ? this.ask(now, this.onTheWay) : undefined
  }

  /**
   * The client has handled everything before a check. Returns false if that check was not sent, or was answered before.
   *
   * @param hubMs - how long the hub may have left the answer unread
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
   * @param hubMs - how long the hub may have left the answer unread
   */
  ponged(now: number, hubMs: number): void {
    if (this.pingedAt !== undefined) this.pongMs = Math.max(0, now - hubMs - this.pingedAt)
    this.pingedAt = undefined
  }

  /** The limit covers the round trip and the slack; a piece is small enough for two checks within the slack. */
  private get pieceBytes(): number {
    return (this.bound * (SLACK_MS / 2)) / (this.lineMs + SLACK_MS)
  }

  private get onTheWay(): number {
    return this.sent - this.handled
  }

  private isDue(now: number): boolean {
    const unasked = this.sent - this.last.position
    // The first check comes right after the welcome, and measures the line.
    if (this.last.n === 0) return true
    if (unasked >= this.pieceBytes) return true
    if (this.asked.length > 0) return false
    return (this.writes >= WRITES || unasked >= BYTES) && now - this.last.at >= INTERVAL_MS
  }

  /** @param before - bytes on the way before this write */
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
      // Data written before the line was empty says nothing about its round trip.
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

  /** Empties the line first: otherwise a client that is always behind would make its own time look like that of the line. */
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
