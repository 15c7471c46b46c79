import type { EngineSocket } from '../engine/engine.ts'
import { type FrameTime, LOOK_EVERY, type WaitsForTime } from './frame-time.ts'
import type { Debtor, OutboxBudget } from './outbox-budget.ts'

/** Approximate cost of a waiting message in addition to its bytes. */
const MESSAGE_BYTES = 512

/**
 * Maximum bytes held per connection. An engine that cannot stop reading delivers more: then the frames are handled as they arrive,
 * and the peer is slowed because the hub reads nothing in the meantime.
 */
const HELD_BYTES = 4 * 1024 * 1024

/** What all inboxes of a hub share. */
export interface InboxShared {
  readonly frameTime: FrameTime
  readonly budget: OutboxBudget
}

/** Decodes and handles the frames of a connection. */
export interface InboxOwner {
  /** Whether frames are decoded and handled without regard to the time, because they are only held. */
  readonly holds: boolean
  /** The frames of a message. Never throws: a message that cannot be decoded has no frames. */
  decode(data: Uint8Array, binary: boolean): readonly unknown[]
  /** Handles one frame, which is at this place of its message. Never throws. `within`: see `Inbox.handle`. */
  take(value: unknown, at: number, within: number | undefined): void
  /** The hub holds more than it may for all connections together. */
  overflow(code: 'outbox_total'): void
}

interface Held {
  readonly data: Uint8Array
  readonly binary: boolean
  next: Held | undefined
}

/** A decoded message with waiting frames. */
interface Opened {
  readonly values: readonly unknown[]
  readonly within: number | undefined
  readonly bytes: number
  at: number
}

/**
 * What a connection has sent and the hub has not handled yet, because the turn of the event loop had no more time for frames. It is
 * handled in order in later turns. Meanwhile the socket is not read; anything that still arrives counts as part of
 * `outboxTotalBytes`.
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

  /** A message has arrived: handles it now if there is time. The bytes are copied if they are kept. */
  receive(data: Uint8Array, binary: boolean): void {
    if (this.closed) return
    if (this.waits || !this.shared.frameTime.opens(data.length)) {
      this.hold(data, binary)
      while (this.heldBytes > HELD_BYTES) this.advance(true)
    } else this.handle(this.owner.decode(data, binary), 0, data.length, undefined)
  }

  /**
   * Handles frames from a place on, before everything that waits. `bytes`: size of their message. `within`: how many of them,
   * counted from the first, are within the limits; undefined if the allowance knows.
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

  /** Handles some frames. Returns whether more are waiting. `must`: even if there is no time for another message. */
  private advance(must: boolean): boolean {
    const { first } = this
    if (!this.opened && first && (must || this.shared.frameTime.opens(first.data.length))) this.openFirst(first)
    if (this.opened) this.goOnWith(this.opened)
    if (this.opened || this.first) return true
    this.rest()
    return false
  }

  /** Discards what waits, and accepts nothing more. */
  close(): void {
    if (this.closed) return
    this.closed = true
    if (this.opened) this.finishOpened(this.opened)
    this.first = this.last = undefined
    this.charge(-this.heldBytes)
    this.rest()
  }

  /** Nothing in an inbox can be dropped. */
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

  /** Nothing is waiting any more. */
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

/** Values from a place on, copied so that they can be kept: payloads are views of the engine's bytes. */
function copied(values: readonly unknown[], from: number): readonly unknown[] {
  return values.map((value, at) => (at < from ? undefined : withOwnData(value)))
}

function withOwnData(value: unknown): unknown {
  const data: unknown = typeof value === 'object' && value !== null && 'data' in value ? value.data : undefined
  return data instanceof Uint8Array ? Object.assign(value as object, { data: new Uint8Array(data) }) : value
}
