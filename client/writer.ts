import { joinText } from '../shared/codec.ts'
import { FanfareError } from '../shared/fanfare-error.ts'
import { encodeUtf8 } from '../shared/utf8.ts'

// Where the platform has it: it runs when all that has arrived is handled, so that a turn's frames go out together.
// Elsewhere a microtask comes close, and no timer adds a delay.
const { setImmediate } = globalThis as { setImmediate?: (task: () => void) => void }
const endOfTurn = setImmediate ?? ((task: () => void) => void Promise.resolve().then(task))

/** Runs a task after what has arrived meanwhile. */
export const nextTurn: (task: () => void) => void = setImmediate ?? ((task) => setTimeout(task))

/** A UTF-16 unit takes three bytes of UTF-8 at most. */
const MOST_BYTES_PER_UNIT = 3

/**
 * What may go out before the welcome announces the limit of the hub, in bytes: every hub accepts the first, and keeps it until the client is
 * authenticated. After an earlier welcome of the hub, the second applies.
 */
const SURE_BYTES = 1024
const MOST_EARLY_BYTES = 64 * 1024

/** Joins the frames of a turn: text into one batch, records into one binary message, in order. */
export class Writer {
  /** Largest message that the hub accepts, in bytes. */
  limit = MOST_EARLY_BYTES
  #mostEarly = SURE_BYTES
  /** Bytes sent on this connection before the welcome; undefined after it. */
  #early: number | undefined = 0
  /** Frames that wait for the welcome. */
  #held: (string | Uint8Array)[] = []
  readonly #send: (message: string | Uint8Array) => void
  /** All text, or all records. */
  #frames: (string | Uint8Array)[] = []
  #bytes = 0
  #scheduled = false
  #tasks: (() => void)[] = []

  constructor(send: (message: string | Uint8Array) => void) {
    this.#send = send
  }

  write(frame: string | Uint8Array): void {
    const isText = typeof frame === 'string'
    const bytes = isText ? frame.length * MOST_BYTES_PER_UNIT + 1 : frame.length
    if (this.#early !== undefined) {
      // The first one is the hello.
      const waits = this.#early > 0 && this.#early + bytes > this.#mostEarly
      this.#early += bytes
      if (waits) {
        this.#held.push(frame)
        return
      }
    }
    const isOtherKind = typeof this.#frames[0] !== typeof frame
    if (isOtherKind || this.#bytes + bytes > this.limit - 2) this.flush()
    this.#frames.push(frame)
    this.#bytes += bytes
    this.#schedule()
  }

  /** Calls it at the end of the turn, before what was written is sent. */
  atEndOfTurn(task: () => void): void {
    this.#tasks.push(task)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    endOfTurn(() => {
      const tasks = this.#tasks
      this.#tasks = []
      for (const task of tasks) task()
      this.#scheduled = false
      this.flush()
    })
  }

  /** The hub accepts messages of this size. */
  welcomed(limit: number): void {
    const held = this.#held
    this.limit = limit
    this.#mostEarly = Math.min(limit, MOST_EARLY_BYTES)
    this.#early = undefined
    this.#held = []
    for (const frame of held) this.write(frame)
  }

  flush(): void {
    const [first] = this.#frames
    if (typeof first === 'string') this.#send(joinText(this.#frames as string[]))
    else if (first) this.#send(joinRecords(this.#frames as Uint8Array[]))
    this.#clear()
  }

  /** The connection is gone, and what was not sent with it. */
  reset(): void {
    this.#clear()
    this.#early = 0
    this.#held = []
  }

  #clear(): void {
    this.#frames = []
    this.#bytes = 0
  }
}

export function tooLarge(limit: number): FanfareError {
  return new FanfareError(
    'frame_too_large',
    `The message exceeds the hub's limit of ${limit} bytes (frameBytes). Split it.`,
  )
}

/** Whether a frame is too large even when it goes alone. */
export function exceeds(frame: string | Uint8Array, limit: number): boolean {
  if (typeof frame !== 'string') return frame.length > limit
  return frame.length * MOST_BYTES_PER_UNIT > limit && encodeUtf8(frame).length > limit
}

function joinRecords(records: readonly Uint8Array[]): Uint8Array {
  if (records.length === 1) return records[0] as Uint8Array
  const joined = new Uint8Array(records.reduce((sum, record) => sum + record.length, 0))
  let at = 0
  for (const record of records) {
    joined.set(record, at)
    at += record.length
  }
  return joined
}
