import type { Batch } from '../engine/batch.ts'
import type { EngineSocket } from '../engine/engine.ts'
import type { Account } from './backlog.ts'
import { Checks } from './checks.ts'
import { WRITE_BYTES } from './outgoing.ts'
import type { WriteTurn } from './write-turn.ts'

/**
 * The way from an outbox to its client. It is blocked while the engine holds unwritten data and, if the client confirms what its
 * handlers have done, while too much is unconfirmed.
 */
export class Line {
  /** Bytes held while the line is blocked; they count for the outbox. */
  heldBytes = 0
  private readonly socket: EngineSocket
  private readonly turn: WriteTurn
  private readonly account: Pick<Account, 'add'>
  private checks: Checks | undefined = undefined
  private engineFull = false

  constructor(socket: EngineSocket, turn: WriteTurn, account: Pick<Account, 'add'>) {
    this.socket = socket
    this.turn = turn
    this.account = account
  }

  get blocked(): boolean {
    return this.engineFull || this.checks?.full === true
  }

  /** Recommended maximum size of the next write, in bytes. */
  get room(): number {
    return Math.min(WRITE_BYTES, this.checks?.room ?? WRITE_BYTES)
  }

  /** Returns false if the line is blocked. */
  write(batch: Batch): boolean {
    const { checks } = this
    if (!checks) {
      this.engineFull = !this.socket.write(batch)
      return !this.engineFull
    }
    const now = this.turn.now()
    const check = checks.writing(batch.framed.length, now, this.turn.busyMs(now))
    this.engineFull = !this.socket.write(check ? batch.followedBy(check) : batch)
    return !this.blocked
  }

  /** Call while the line is blocked: counts what it holds. */
  hold(): void {
    this.askIfStuck()
    this.release()
    this.heldBytes = Math.max(this.socket.bufferedBytes, this.checks?.heldBytes ?? 0)
    this.account.add(this.heldBytes)
  }

  release(): void {
    this.account.add(-this.heldBytes)
    this.heldBytes = 0
  }

  /** The engine has written everything. */
  drained(): void {
    this.engineFull = false
  }

  /** From now on the client is sent checks, and what is on the way to it is limited; at most this many bytes of it count. */
  startChecks(most: number): void {
    this.checks = new Checks(most, () => this.socket.ping())
  }

  stopChecks(): void {
    this.checks = undefined
  }

  /** A ping was answered. */
  ponged(): void {
    const now = this.turn.now()
    this.checks?.ponged(now, this.turn.busyMs(now))
  }

  /** Returns false if that check was not sent. */
  answered(n: number): boolean {
    const now = this.turn.now()
    return this.checks?.answered(n, now, this.turn.busyMs(now)) ?? false
  }

  /** Sends a check if no pending answer would free the line. */
  private askIfStuck(): void {
    const check = this.engineFull ? undefined : this.checks?.lone(this.turn.now())
    if (check) this.engineFull = !this.socket.write(check)
  }
}
