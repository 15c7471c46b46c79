import type { Clock } from '../../../../shared/clock.ts'
import type { Logs } from '../logs.ts'
import type { StreamLog } from '../stream/stream-log.ts'
import { nothingToUndo } from './commit.ts'
import type { GroupCommit } from './group-commit.ts'
import type { Removals } from './removals.ts'

/** Maximum streams processed per commit. */
const STREAMS_PER_COMMIT = 8

/**
 * Work that no client waits for, in steps short enough to share the commits of a busy hub: retention of streams without publishes,
 * the rest of what one commit could not remove, compact or index, and the data of deleted streams and queues.
 */
export class Housekeeping {
  private readonly commits: GroupCommit
  private readonly logs: Logs
  private readonly removals: Removals
  private readonly clock: Clock
  private working = false
  private closed = false

  constructor(commits: GroupCommit, logs: Logs, removals: Removals, clock: Clock) {
    this.commits = commits
    this.logs = logs
    this.removals = removals
    this.clock = clock
  }

  /** Starts if something is due and it is not running. */
  look(): void {
    if (this.working || this.closed) return
    if (this.due(1).length === 0 && this.removals.next === undefined) return
    this.working = true
    // The failure has been logged, and the next look tries again.
    void this.work()
      .catch(() => {})
      .finally(() => {
        this.working = false
      })
  }

  close(): void {
    this.closed = true
  }

  private due(most: number): StreamLog[] {
    return this.logs.dueStreams.due(this.clock.now(), most)
  }

  private async work(): Promise<void> {
    // If there is more to do, a commit moves the logs that it processed after the others that are due.
    while (!this.closed && this.due(1).length > 0) {
      await this.commits.change(() => {
        for (const log of this.due(STREAMS_PER_COMMIT)) this.logs.touch(log)
        return nothingToUndo
      })
    }
    for (let id = this.removals.next; id !== undefined && !this.closed; id = this.removals.next) {
      const removed = id
      await this.commits.change((changes) => this.removals.goOn(removed, changes))
    }
  }
}
