import { createHistogram } from 'node:perf_hooks'

/** Begins every payload, and stands nowhere else in what a server sends. */
export const MARKER = '@'
const MARK = MARKER.charCodeAt(0)
const SEQ_DIGITS = 10
const TIME_DIGITS = 16
/** Microseconds up to a minute, to a percent. The default's 350 kB for each subscriber held up the load for a second. */
const LATENCY = { lowest: 1, highest: 60_000_000, figures: 2 }
const HEAD = 1 + SEQ_DIGITS + TIME_DIGITS

/** Characters that a payload has at least. */
export const LEAST_SIZE = 30

/** A payload of `size` characters that says since when it has been due. */
export function payload(seq: number, size: number, dueMicros: number): string {
  const head = MARKER + String(seq).padStart(SEQ_DIGITS, '0') + String(dueMicros).padStart(TIME_DIGITS, '0')
  return head.padEnd(size, 'x')
}

export function nowMicros(): number {
  return Math.round(performance.now() * 1000)
}

/**
 * Counts the payloads in a TCP stream, exactly and at a few nanoseconds each: from one marker it looks at the distance
 * of the last one first, and only then searches. No two markers are closer than a payload, so nothing is passed over.
 */
export class DeliveryCounter {
  count = 0
  /** Microseconds from the making of a payload to its arrival. */
  readonly latency = createHistogram(LATENCY)
  private readonly size: number
  private readonly everyLatency: boolean
  private stride = 0
  /** Bytes until the next marker can come, and the start of a payload that the last chunk cut. */
  private skip = 0
  private rest: Buffer | undefined

  constructor(size: number, everyLatency: boolean) {
    this.size = size
    this.everyLatency = everyLatency
  }

  add(chunk: Buffer): void {
    let bytes = chunk
    if (this.rest) {
      bytes = Buffer.concat([this.rest, chunk])
      this.rest = undefined
    }
    let last = -1
    let at = bytes.indexOf(MARK, this.skip)
    this.skip = Math.max(0, this.skip - bytes.length)
    while (at >= 0) {
      if (at + HEAD > bytes.length) {
        this.rest = bytes.subarray(at)
        break
      }
      this.count++
      if (this.everyLatency) this.record(bytes, at)
      last = at
      const guess = at + this.stride
      if (this.stride > 0 && bytes[guess] === MARK) {
        at = guess
        continue
      }
      const next = at + this.size < bytes.length ? bytes.indexOf(MARK, at + this.size) : -1
      if (next < 0) this.skip = Math.max(0, at + this.size - bytes.length)
      else this.stride = next - at
      at = next
    }
    if (!this.everyLatency && last >= 0) this.record(bytes, last)
  }

  private record(bytes: Buffer, at: number): void {
    let sent = 0
    for (let i = at + 1 + SEQ_DIGITS; i < at + HEAD; i++) sent = sent * 10 + (bytes[i] as number) - 48
    this.latency.record(Math.max(1, nowMicros() - sent))
  }
}
