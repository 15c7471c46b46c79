import type { EngineSocket } from '../engine/engine.ts'
import { type FrameTime, LOOK_EVERY, type WaitsForTime } from './frame-time.ts'
import type { Debtor, OutboxBudget } from './outbox-budget.ts'

/** What a message that waits costs besides its bytes, roughly. */
const MESSAGE_BYTES = 512

/**
 * What one connection may hold, in bytes. An engine that cannot stop reading delivers more: then the frames are handled as they come,
 * and the peer is slowed because the hub reads nothing meanwhile.
 */
const HELD_BYTES = 4 * 1024 * 1024

/** What all inboxes of a hub share. */
export interface InboxShared {
  readonly frameTime: FrameTime
  readonly budget: OutboxBudget
}

/** What handles the frames of a connection. */
export interface InboxOwner {
  /** Frames are decoded and handled without regard to the time: they are only held. */
  readonly holds: boolean
  /** The frames of a message. Never throws: what cannot be decoded has no frames. */
  decode(data: Uint8Array, binary: boolean): readonly unknown[]
  /** Handles one frame, the one at this place of its message. Never throws. `within`: see `Inbox.handle`. */
  take(value: unknown, at: number, within: number | undefined): void
  /** More is held for all connections than the hub may hold. */
  overflow(code: 'outbox_total'): void
}

interface Held {
  readonly data: Uint8Array
  readonly binary: boolean
  next: Held | undefined
}

/** A decoded message of which some frames wait. */
interface Opened {
  readonly values: readonly unknown[]
  readonly within: number | undefined
  readonly bytes: number
  at: number
}

/**
 * What a connection has sent and the hub has not handled yet, because the turn of the event loop had no more time for frames. It is
 * handled in order in later turns. Meanwhile the socket is not read; what comes anyway counts as part of `outboxTotalBytes`.
 */
export class Inbox implements Debtor, WaitsForTime {
  heldBytes = 0
  private readonly socket: EngineSocket
  private readonly shared: InboxShared
  private readonly owner: InboxOwner
  private opened: Opened | undefined = undefined
  private first: Held | undefined = undefined
  private last: Held | undefined = undefined
  private waits = false
  private closed = false

  constructor(socket: EngineSocket, shared: InboxShared, owner: InboxOwner) {
    this.socket = socket
    this.shared = shared
    this.owner = owner
  }

  /** A message has come: handles it now if there is time. The bytes are copied if they are kept. */
  receive(data: Uint8Array, binary: boolean): void {
    if (this.closed) return
    if (this.waits || !this.shared.frameTime.opens(data.length)) {
      this.hold(data, binary)
      while (this.heldBytes > HELD_BYTES) this.advance(true)
    } else this.handle(this.owner.decode(data, binary), 0, data.length, undefined)
  }

  /**
   * Handles frames from a place on, before all that waits. `bytes`: of their message. `within`: how many of them, from the first,
   * are within the limits; undefined if the allowance knows.
   */
  handle(values: readonly unknown[], from: number, bytes: number, within: number | undefined): void {
    const { owner } = this
    const { frameTime: time } = this.shared
    for (let at = from; at < values.length && !this.closed; at++) {
      if (at > from && !time.left && !owner.holds) return this.keep({ values: copied(values, at), within, bytes, at })
      owner.take(values[at], at, within)
      time.used()
    }
  }

  goOn(): boolean {
    return this.advance(false)
  }

  /** Handles some frames. Returns whether more wait. `must`: even if there is no time for another message. */
  private advance(must: boolean): boolean {
    const { first } = this
    if (!this.opened && first && (must || this.shared.frameTime.opens(first.data.length))) this.openFirst(first)
    if (this.opened) this.goOnWith(this.opened)
    if (this.opened || this.first) return true
    this.rest()
    return false
  }

  /** Discards what waits, and takes nothing more. */
  close(): void {
    if (this.closed) return
    this.closed = true
    if (this.opened) this.finishOpened(this.opened)
    this.first = this.last = undefined
    this.charge(-this.heldBytes)
    this.rest()
  }

  /** Nothing of it can be left out. */
  shrinkTo(): void {}

  giveUp(): void {
    this.close()
    this.owner.overflow('outbox_total')
  }

  private openFirst({ data, binary, next }: Held): void {
    this.first = next
    if (!next) this.last = undefined
    this.charge(-cost(data))
    const values = this.owner.decode(data, binary)
    if (!this.closed) this.keep({ values, within: undefined, bytes: data.length, at: 0 })
  }

  private goOnWith(opened: Opened): void {
    const { values, within } = opened
    const goesOn = (n: number) => n === 0 || (n < LOOK_EVERY && this.shared.frameTime.left) || this.owner.holds
    for (let n = 0; opened.at < values.length && !this.closed && goesOn(n); n++) {
      this.owner.take(values[opened.at], opened.at++, within)
      this.shared.frameTime.used()
    }
    if (opened.at >= values.length && this.opened === opened) this.finishOpened(opened)
  }

  private keep(opened: Opened): void {
    this.opened = opened
    this.shared.frameTime.opened(opened.bytes)
    this.charge(opened.bytes)
    this.wait()
  }

  private finishOpened(opened: Opened): void {
    this.opened = undefined
    this.shared.frameTime.opened(-opened.bytes)
    this.charge(-opened.bytes)
  }

  private hold(data: Uint8Array, binary: boolean): void {
    const held: Held = { data: new Uint8Array(data), binary, next: undefined }
    if (this.last) this.last.next = held
    else this.first = held
    this.last = held
    this.charge(cost(data))
    this.wait()
    this.shared.budget.enforce()
  }

  private wait(): void {
    if (this.waits) return
    this.waits = true
    this.socket.setReading(false)
    this.shared.budget.enter(this)
    this.shared.frameTime.wait(this)
  }

  /** Nothing waits. */
  private rest(): void {
    if (!this.waits) return
    this.waits = false
    this.shared.frameTime.leave(this)
    this.shared.budget.leave(this)
    this.socket.setReading(true)
  }

  private charge(bytes: number): void {
    this.heldBytes += bytes
    this.shared.budget.add(bytes)
  }
}

function cost({ length }: Uint8Array): number {
  return length + MESSAGE_BYTES
}

/** Values that can be kept from a place on: payloads are views of bytes that are the engine's. */
function copied(values: readonly unknown[], from: number): readonly unknown[] {
  return values.map((value, at) => (at < from ? undefined : withOwnData(value)))
}

function withOwnData(value: unknown): unknown {
  const data: unknown = typeof value === 'object' && value !== null && 'data' in value ? value.data : undefined
  return data instanceof Uint8Array ? Object.assign(value as object, { data: new Uint8Array(data) }) : value
}
