import { joinText } from '../shared/codec.ts'

// Where the platform has it: it runs when all that has arrived is handled, so that a turn's frames go out together.
// Elsewhere a microtask comes close, and no timer adds a delay.
const { setImmediate } = globalThis as { setImmediate?: (task: () => void) => void }
const endOfTurn = setImmediate ?? globalThis.queueMicrotask

/** Runs a task after what has arrived meanwhile. */
export const nextTurn: (task: () => void) => void = setImmediate ?? ((task) => setTimeout(task))

/** A UTF-16 unit takes three bytes of UTF-8 at most. */
const MOST_BYTES_PER_UNIT = 3

/** Joins the frames of a turn: text into one batch, records into one binary message, in order. */
export class Writer {
  /** Largest message that the hub takes, in bytes. */
  limit = 64 * 1024
  private readonly send: (message: string | Uint8Array) => void
  private text: string[] = []
  private records: Uint8Array[] = []
  private bytes = 0
  private scheduled = false
  private tasks: (() => void)[] = []

  constructor(send: (message: string | Uint8Array) => void) {
    this.send = send
  }

  write(frame: string | Uint8Array): void {
    const isText = typeof frame === 'string'
    const bytes = isText ? frame.length * MOST_BYTES_PER_UNIT + 1 : frame.length
    const otherKind = isText ? this.records.length > 0 : this.text.length > 0
    if (otherKind || this.bytes + bytes > this.limit - 2) this.flush()
    if (isText) this.text.push(frame)
    else this.records.push(frame)
    this.bytes += bytes
    this.schedule()
  }

  /** Calls it at the end of the turn, before what was written is sent. */
  atEndOfTurn(task: () => void): void {
    this.tasks.push(task)
    this.schedule()
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    endOfTurn(() => {
      const { tasks } = this
      this.tasks = []
      for (const task of tasks) task()
      this.scheduled = false
      this.flush()
    })
  }

  flush(): void {
    if (this.text.length > 0) this.send(joinText(this.text))
    if (this.records.length > 0) this.send(joinRecords(this.records))
    this.clear()
  }

  clear(): void {
    this.text = []
    this.records = []
    this.bytes = 0
  }
}

/** Whether a frame is too large even when it goes alone. */
export function exceeds(frame: string | Uint8Array, limit: number): boolean {
  if (typeof frame !== 'string') return frame.length > limit
  return frame.length * MOST_BYTES_PER_UNIT > limit && new TextEncoder().encode(frame).length > limit
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
