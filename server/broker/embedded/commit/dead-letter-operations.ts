import { setImmediate } from 'node:timers/promises'
import { FanfareError } from '../../../../shared/errors.ts'
import type { DeadLetter, DeadLetterFilter } from '../../../../shared/queues.ts'
import type { Logs } from '../logs.ts'
import { entryOf, type FoundLetter, seqOf, shownLetter } from '../queue/dead-letters.ts'
import { bytesInBody } from '../stored-block.ts'
import { nothingToUndo } from './commit.ts'
import type { DedupWindow } from './dedup-window.ts'
import type { GroupCommit } from './group-commit.ts'

/** Approximate size of one page of dead letters, in bytes. */
const PAGE_BYTES = 1024 * 1024

/** What operators do with the dead letters of all queues: browse, redrive and purge them. */
export class DeadLetterOperations {
  private readonly commits: GroupCommit
  private readonly logs: Logs
  private readonly dedup: DedupWindow

  constructor(commits: GroupCommit, logs: Logs, dedup: DedupWindow) {
    this.commits = commits
    this.logs = logs
    this.dedup = dedup
  }

  /** One page of dead letters, as they are shown. */
  async page(queue: string, filter: DeadLetterFilter, from: number, limit: number): Promise<DeadLetter[]> {
    const page: DeadLetter[] = []
    let bytes = 0
    for await (const found of this.lettersFrom(queue, filter, from)) {
      for (const letter of found) {
        page.push(shownLetter(letter, queue))
        bytes += letter.value.length
        if (page.length >= limit || bytes >= PAGE_BYTES) return page
      }
    }
    return page
  }

  /** The numbers of all dead letters that match, in batches that are bounded by count and bytes. */
  async *batches(queue: string, filter: DeadLetterFilter, limit: number, maxBytes: number): AsyncIterable<number[]> {
    let batch: number[] = []
    let bytes = 0
    for await (const found of this.lettersFrom(queue, filter, 0)) {
      for (const { letter, value } of found) {
        batch.push(letter)
        bytes += value.length
        if (batch.length < limit && bytes < maxBytes) continue
        yield batch
        batch = []
        bytes = 0
      }
    }
    if (batch.length > 0) yield batch
  }

  /** Moves dead letters to a queue: all that match, up to `limit`, in one commit. */
  async redrive(queue: string, filter: DeadLetterFilter, to: string, limit: number): Promise<number> {
    let moved: number[] = []
    await this.commits.change((_, now) => {
      const [origin, target] = [this.logs.queueOf(queue), this.logs.queueOf(to)]
      const letters: { found: FoundLetter; entry: ReturnType<typeof entryOf> }[] = []
      for (const found of origin.letters.matching(filter)) {
        if (letters.push({ found, entry: entryOf(found, now) }) >= limit) break
      }
      const bytes = letters.reduce((sum, { entry }) => sum + bytesInBody(entry.wire), 0)
      // Checked before anything is staged: all of them move, or none.
      if (!target.hasRoom(bytes, letters.length)) throw new FanfareError('queue_limit', `"${to}"`)
      for (const { found, entry } of letters) {
        const seq = this.logs.touch(target).add(entry)
        const before = seqOf(found)
        if (before !== undefined) this.dedup.moved({ id: origin.id, seq: before }, { id: target.id, name: to, seq })
      }
      moved = letters.map(({ found }) => found.letter)
      this.logs.touch(origin).letters.remove(moved)
      return nothingToUndo
    })
    return moved.length
  }

  async purge(queue: string, filter: DeadLetterFilter): Promise<number> {
    let count = 0
    await this.commits.change(() => {
      const origin = this.logs.queueOf(queue)
      const letters: number[] = []
      const seqs: number[] = []
      for (const found of origin.letters.matching(filter)) {
        letters.push(found.letter)
        const seq = seqOf(found)
        if (seq !== undefined) seqs.push(seq)
      }
      this.logs.touch(origin).letters.remove(letters)
      this.dedup.purged(origin, seqs)
      count = letters.length
      return nothingToUndo
    })
    return count
  }

  /** Yields between steps, so that the hub can do other work. Leaves out letters that are added meanwhile. */
  private async *lettersFrom(
    queue: string,
    filter: DeadLetterFilter,
    from: number,
  ): AsyncIterable<readonly FoundLetter[]> {
    const { letters, nextLetter } = this.logs.queueOf(queue)
    for (let at: number | undefined = from; at !== undefined; ) {
      const { found, next }: ReturnType<typeof letters.step> = letters.step(filter, at, nextLetter)
      yield found
      if (next !== undefined) await setImmediate()
      at = next
    }
  }
}
