import { joinText } from '../shared/codec.ts'
import { encodeUtf8 } from '../shared/utf8.ts'

// Where the platform has it: it runs when all that has arrived is handled, so that a turn's frames go out together.
// Elsewhere a microtask comes close, and no timer adds a delay.
const { setImmediate } = globalThis as { setImmediate?: (task: () => void) => void }
const endOfTurn = setImmediate ?? ((task: () => void) => void Promise.resolve().then(task))

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
    if (this.scheduled) return
    this.scheduled = true
    endOfTurn(() => {
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
