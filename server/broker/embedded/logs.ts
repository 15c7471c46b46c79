import { quoted } from '../../../shared/error-text.ts'
import { FanfareError } from '../../../shared/errors.ts'
import { DueTimes } from '../due-times.ts'
import { QueueLog } from './queue/queue-log.ts'
import { fromJson, numbersKey, toJson } from './store/keys.ts'
import type { Change, Store } from './store/store.ts'
import { StreamLog } from './stream/stream-log.ts'

const NO_QUEUES: readonly QueueLog[] = []

/** Interval at which retention is applied to a stream without publishes, in milliseconds. */
const RETENTION_MS = 1000

/**
 * The streams and queues of a broker, by name, and those changed by the commit in preparation. There may be very many: nothing that
 * is done per commit or tick goes through all of them.
 */
export class Logs {
  readonly streams: ReadonlyMap<string, StreamLog>
  readonly queues: ReadonlyMap<string, QueueLog>
  /** When delays of a queue end or messages expire: at that time or later. */
  readonly dueQueues = new DueTimes<QueueLog>()
  /** When retention may have something to do. */
  readonly dueStreams = new DueTimes<StreamLog>()
  private readonly streamsByName = new Map<string, StreamLog>()
  private readonly queuesByName = new Map<string, QueueLog>()
  private readonly touched = new Set<StreamLog | QueueLog>()
  /** The number of the next stream or queue, and the stored value of it. */
  private next: number
  private storedNext: number

  constructor(store: Store) {
    this.streams = this.streamsByName
    this.queues = this.queuesByName
    const stored = store.get(numbersKey())
    this.storedNext = stored ? (fromJson(stored) as number) : 1
    this.next = this.storedNext
  }

  /** Returns a number that no stream or queue has had. Deduplication uses it to see whether a stream or queue is still the same one. */
  takeNumber(): number {
    return this.next++
  }

  add(log: StreamLog | QueueLog): void {
    const { name } = log.options
    // Earlier versions did not store the count.
    this.next = Math.max(this.next, log.id + 1)
    if (log instanceof StreamLog) {
      this.streamsByName.set(name, log)
      this.dueStreams.set(log, log.retainAt)
    } else {
      this.queuesByName.set(name, log)
      this.dueQueues.set(log, log.nextTime())
    }
  }

  /** The log is deleted: the rest of this commit must not write to it again. */
  remove(log: StreamLog | QueueLog): void {
    const { name } = log.options
    this.touched.delete(log)
    if (log instanceof StreamLog) {
      this.streamsByName.delete(name)
      this.dueStreams.delete(log)
    } else {
      this.queuesByName.delete(name)
      this.dueQueues.delete(log)
    }
  }

  /** Undoes `remove`; other changes of its commit are rolled back with the other logs. */
  putBack(log: StreamLog | QueueLog): void {
    this.add(log)
    this.touch(log)
  }

  /** Call during staging, for each log that is changed. */
  touch<Log extends StreamLog | QueueLog>(log: Log): Log {
    this.touched.add(log)
    return log
  }

  /** The queues that the commit in preparation changes. */
  get touchedQueues(): QueueLog[] {
    return [...this.touched].filter((log) => log instanceof QueueLog)
  }

  /** @throws {FanfareError} no_stream */
  streamOf(name: string): StreamLog {
    const log = this.streams.get(name)
    if (!log)
      throw new FanfareError('no_stream', `There is no stream ${quoted(name)}. Declare it, or correct its name.`)
    return log
  }

  /** @throws {FanfareError} no_queue */
  queueOf(name: string): QueueLog {
    const queue = this.queues.get(name)
    if (!queue)
      throw new FanfareError('no_queue', `There is no queue ${quoted(name)}. Declare it, or correct its name.`)
    return queue
  }

  /** The queues of a draft that exist. */
  queuesOf({ queues }: { readonly queues: readonly string[] }): readonly QueueLog[] {
    if (queues.length === 0) return NO_QUEUES
    const logs: QueueLog[] = []
    for (const name of queues) {
      const log = this.queues.get(name)
      if (log) logs.push(log)
    }
    return logs
  }

  /** Adds the staged changes to a commit. */
  finish(changes: Change[], now: number): void {
    for (const log of this.touched) log.finish(changes, now)
    if (this.next !== this.storedNext) changes.push({ key: numbersKey(), value: toJson(this.next) })
  }

  /** Returns the queues that have changed. */
  apply(now: number): readonly QueueLog[] {
    this.storedNext = this.next
    for (const log of this.touched) log.apply(now)
    return this.settled(now, true)
  }

  /** Returns the queues that were to change. */
  rollback(now: number): readonly QueueLog[] {
    for (const log of this.touched) log.rollback(now)
    return this.settled(now, false)
  }

  /** Recomputes when a queue is due. */
  plan(queue: QueueLog): void {
    this.dueQueues.set(queue, queue.nextTime())
  }

  /** A message in a queue may be due earlier than known so far. */
  planEarlier(queue: QueueLog): void {
    this.dueQueues.setEarlier(queue, queue.nextTime())
  }

  private settled(now: number, goesOn: boolean): readonly QueueLog[] {
    const queues: QueueLog[] = []
    for (const log of this.touched) {
      if (log instanceof QueueLog) {
        queues.push(log)
        if (this.dueQueues.timeOf(log) <= now) this.plan(log)
        else this.planEarlier(log)
      } else if (goesOn && log.hasMore) this.dueStreams.set(log, now)
      else this.dueStreams.set(log, Math.max(log.retainAt, now + RETENTION_MS))
    }
    this.touched.clear()
    return queues
  }
}
