import { setImmediate } from 'node:timers/promises'
import { FanfareError } from '../../../../shared/errors.ts'
import type { DeadLetter, DeadLetterFilter } from '../../../../shared/queues.ts'
import type { LetterNumbers, LetterRange, LetterSteps } from '../../letter-pages.ts'
import { lettersMeant } from '../../rules/dead-letters.ts'
import type { Logs } from '../logs.ts'
import { entryOf, type FoundLetter, seqOf, shownLetter } from '../queue/dead-letters.ts'
import { bytesInBody } from '../stored-block.ts'
import { fullMessage } from './capacity.ts'
import { nothingToUndo } from './commit.ts'
import type { DedupWindow } from './dedup-window.ts'
import type { GroupCommit } from './group-commit.ts'

/** Approximate size of one page of dead letters, in bytes. */
const PAGE_BYTES = 1024 * 1024

export const LETTER_STEPS: LetterSteps = { moved: 500, deleted: 500, bytes: PAGE_BYTES }

/** Operators' actions on the dead letters of all queues: browse, redrive and purge. */
export class DeadLetterOperations {
  private readonly commits: GroupCommit
  private readonly logs: Logs
  private readonly dedup: DedupWindow

  constructor(commits: GroupCommit, logs: Logs, dedup: DedupWindow) {
    this.commits = commits
    this.logs = logs
    this.dedup = dedup
  }

  /** One page of dead letters, in the form in which they are shown. */
  async page(queue: string, filter: DeadLetterFilter, from: number, limit: number): Promise<DeadLetter[]> {
    const range = { from, limit, bytes: PAGE_BYTES }
    const { taken } = await this.take(queue, filter, range, (found) => shownLetter(found, queue))
    return taken
  }

  async numbers(queue: string, filter: DeadLetterFilter, range: LetterRange): Promise<LetterNumbers> {
    const { taken, next, end } = await this.take(queue, filter, range, ({ letter }) => letter)
    return { numbers: taken, next, end }
  }

  /** Moves dead letters to a queue in one commit. */
  async redrive(queue: string, numbers: readonly number[], to: string): Promise<number> {
    let count = 0
    await this.commits.change((_, now) => {
      const [origin, target] = [this.logs.queueOf(queue), this.logs.queueOf(to)]
      const found = origin.letters.of(numbers)
      const entries = found.map((each) => entryOf(each, now))
      const bytes = entries.reduce((sum, { wire }) => sum + bytesInBody(wire), 0)
      // Checked before anything is staged: all of them move, or none.
      if (!target.hasRoom(bytes, entries.length)) throw new FanfareError('queue_limit', fullMessage(to))
      for (const [at, entry] of entries.entries()) {
        const seq = this.logs.touch(target).add(entry)
        const before = seqOf(found[at] as FoundLetter)
        if (before !== undefined) this.dedup.moved({ id: origin.id, seq: before }, { id: target.id, name: to, seq })
      }
      this.logs.touch(origin).letters.remove(found)
      count = found.length
      return nothingToUndo
    })
    return count
  }

  async purge(queue: string, numbers: readonly number[]): Promise<number> {
    let count = 0
    await this.commits.change(() => {
      const origin = this.logs.queueOf(queue)
      const found = origin.letters.of(numbers)
      this.logs.touch(origin).letters.remove(found)
      this.dedup.purged(
        origin,
        found.map(seqOf).filter((seq) => seq !== undefined),
      )
      count = found.length
      return nothingToUndo
    })
    return count
  }

  /**
   * Collects results for matching dead letters until there are enough. Yields between steps, so that the hub can do other work.
   * Ignores dead letters that are added in the meantime.
   */
  private async take<Taken>(
    queue: string,
    filter: DeadLetterFilter,
    { from, limit, bytes }: LetterRange,
    of: (found: FoundLetter) => Taken,
  ): Promise<{ taken: Taken[]; next: number; end: number }> {
    const { letters, nextLetter } = this.logs.queueOf(queue)
    const { to: end } = lettersMeant(filter, from, nextLetter)
    const taken: Taken[] = []
    let left = bytes
    for (let at = from; ; ) {
      const { found, next } = letters.step(filter, at, end, limit - taken.length, left)
      for (const each of found) {
        taken.push(of(each))
        left -= each.value.length
      }
      if (next === undefined) return { taken, next: end, end }
      await setImmediate()
      if (taken.length >= limit || left <= 0) return { taken, next, end }
      at = next
    }
  }
}
