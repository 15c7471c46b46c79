import { fromJson, numbersKey, toJson } from './keys.ts'
import type { QueueLog } from './queue-log.ts'
import type { Change, Store } from './store.ts'
import type { StreamLog } from './stream-log.ts'

const NO_QUEUES: readonly QueueLog[] = []

/** The streams and queues of a broker, by name, and which of them the commit in the making changes. */
export class Logs {
  readonly streams = new Map<string, StreamLog>()
  readonly queues = new Map<string, QueueLog>()
  private readonly touched = new Set<StreamLog | QueueLog>()
  /** The number that the next stream or queue gets, and what of that is stored. */
  private next: number
  private storedNext: number

  constructor(store: Store) {
    const stored = store.get(numbersKey())
    this.storedNext = stored ? (fromJson(stored) as number) : 1
    this.next = this.storedNext
  }

  /** Takes a number that no stream or queue has had: by it ids know whether what they went to is still the same. */
  takeNumber(): number {
    return this.next++
  }

  /** A number is in use, in a store of a version that did not keep count. */
  isTaken(number: number): void {
    this.next = Math.max(this.next, number + 1)
  }

  /** To be called while staging, for each log that is changed. */
  touch<Log extends StreamLog | QueueLog>(log: Log): Log {
    this.touched.add(log)
    return log
  }

  /** The log was deleted: what else this commit brings must not write to it again. */
  untouch(log: StreamLog | QueueLog): void {
    this.touched.delete(log)
  }

  /** Those of a draft's queues that there are. */
  queuesOf({ queues }: { readonly queues: readonly string[] }): readonly QueueLog[] {
    if (queues.length === 0) return NO_QUEUES
    const logs: QueueLog[] = []
    for (const name of queues) {
      const log = this.queues.get(name)
      if (log) logs.push(log)
    }
    return logs
  }

  /** Adds to a commit what was staged. */
  finish(changes: Change[], now: number): void {
    for (const log of this.touched) log.finish(changes, now)
    if (this.next !== this.storedNext) changes.push({ key: numbersKey(), value: toJson(this.next) })
  }

  apply(now: number): void {
    this.storedNext = this.next
    for (const log of this.touched) log.apply(now)
    this.touched.clear()
  }

  rollback(now: number): void {
    for (const log of this.touched) log.rollback(now)
    this.touched.clear()
  }
}
