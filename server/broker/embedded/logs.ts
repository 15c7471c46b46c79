import { QueueLog } from './queue-log.ts'
import type { Change } from './store.ts'
import type { StreamLog } from './stream-log.ts'

const NO_QUEUES: readonly QueueLog[] = []

/** The streams and queues of a broker, by name, and which of them the commit in the making changes. */
export class Logs {
  readonly streams = new Map<string, StreamLog>()
  readonly queues = new Map<string, QueueLog>()
  private readonly touched = new Set<StreamLog | QueueLog>()

  /** To be called while staging, for each log that is changed. */
  touch<Log extends StreamLog | QueueLog>(log: Log): Log {
    this.touched.add(log)
    return log
  }

  /** The log was deleted: what else this commit brings must not write to it again. */
  untouch(log: StreamLog | QueueLog): void {
    this.touched.delete(log)
  }

  /** The queues that the commit in the making changes. */
  get touchedQueues(): QueueLog[] {
    return [...this.touched].filter((log) => log instanceof QueueLog)
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
  }

  apply(now: number): void {
    for (const log of this.touched) log.apply(now)
    this.touched.clear()
  }

  rollback(now: number): void {
    for (const log of this.touched) log.rollback(now)
    this.touched.clear()
  }
}
