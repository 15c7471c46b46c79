import type { DeadLetter, DeadLetterFilter, DeadReason, QueueStatus } from '../../../shared/queues.ts'
import { isNoAnswer } from '../answer.ts'
import { client } from '../hub.ts'
import { errorText } from '../notices.ts'
import type { PageRoute } from '../route.ts'
import { invalidate } from '../schedule.ts'
import { type Placed, StillRows } from '../still.ts'

/** Dead letters per page; each comes with its whole payload. */
export const PAGE = 25

/** How long a pause in typing has to be before the hub is asked again, in milliseconds. */
const TYPING_MS = 250

export const REASONS: Readonly<Record<DeadReason, string>> = {
  attempts: 'attempts used up',
  rejected: 'rejected',
  expired: 'expired',
  overflow: 'the queue was full',
}

/** The dead letters of a queue, one page at a time. They are reloaded when the filter or the queue changes. */
export class Letters {
  letters: readonly DeadLetter[] | undefined = undefined
  hasMore = false
  error: string | undefined = undefined
  readonly selected = new Set<number>()
  readonly open = new Set<number>()
  private readonly queue: string
  private readonly route: PageRoute
  /** The first dead letter's number on each page up to this one. */
  private starts: readonly number[] = [0]
  private timer: ReturnType<typeof setTimeout> | undefined = undefined
  private round = 0
  /** Counts the questions (page, filter), so that late answers to earlier ones are ignored. */
  private wanted = 0
  private asked = 0
  /** The queue's figures at the time of loading, and whether a load is in progress. */
  private figuresAtLoad: string | undefined = undefined
  private compared: QueueStatus | undefined = undefined
  private loading = false
  private readonly still = new StillRows<DeadLetter>('.letters', ({ letter }) => String(letter))

  constructor(queue: string, route: PageRoute) {
    this.queue = queue
    this.route = route
    void this.load()
  }

  get filter(): DeadLetterFilter {
    const of = (name: string) => this.route.query.get(name)?.trim() || undefined
    const [topic, key, error, reason] = [of('topic'), of('key'), of('error'), of('reason') as DeadReason | undefined]
    return { ...(topic && { topic }), ...(key && { key }), ...(error && { error }), ...(reason && { reason }) }
  }

  get isFiltered(): boolean {
    return Object.keys(this.filter).length > 0
  }

  get page(): number {
    return this.starts.length
  }

  /** The dead letters in drawing order. */
  arranged(): readonly Placed<DeadLetter>[] {
    return this.still.arranged(this.letters ?? [], this.asked)
  }

  /** Call before loading if the next letters replace the current ones even while the list is held. */
  release(): void {
    this.wanted++
  }

  get allSelected(): boolean {
    return this.letters?.every(({ letter }) => this.selected.has(letter)) ?? false
  }

  /** Selects or deselects all on this page. */
  selectAll(all: boolean): void {
    this.selected.clear()
    if (all) for (const { letter } of this.letters ?? []) this.selected.add(letter)
    invalidate()
  }

  /** Call with the queue's current figures at each drawing: reloads what others have changed. */
  refresh(queue: QueueStatus | undefined): void {
    if (queue === undefined || queue === this.compared || this.loading) return
    this.compared = queue
    const figures = figuresOf(queue)
    if (this.figuresAtLoad === figures && !this.lacks(queue)) return
    this.figuresAtLoad = figures
    void this.load()
  }

  /** Whether fewer are shown than exist. */
  private lacks({ deadLetters }: QueueStatus): boolean {
    if (!this.letters || this.page > 1 || this.isFiltered) return false
    return this.letters.length < Math.min(PAGE, deadLetters)
  }

  filterChanged(): void {
    clearTimeout(this.timer)
    this.timer = setTimeout(() => {
      this.starts = [0]
      this.selected.clear()
      this.wanted++
      void this.load()
    }, TYPING_MS)
  }

  next(): void {
    const last = this.letters?.at(-1)
    if (!last) return
    this.starts = [...this.starts, last.letter + 1]
    this.wanted++
    void this.load()
  }

  previous(): void {
    this.starts = this.starts.slice(0, Math.max(1, this.starts.length - 1))
    this.wanted++
    void this.load()
  }

  async load(): Promise<void> {
    const mine = ++this.round
    const asked = this.wanted
    this.loading = true
    try {
      const from = this.starts.at(-1) ?? 0
      const found = await client.admin.queues.deadLetters.list(this.queue, this.filter, { from, limit: PAGE + 1 })
      if (mine !== this.round) return
      if (found.length === 0 && this.page > 1) return this.previous()
      this.letters = found.slice(0, PAGE)
      this.asked = asked
      this.hasMore = found.length > PAGE
      this.error = undefined
      const there = new Set(this.letters.map(({ letter }) => letter))
      for (const letter of this.selected) if (!there.has(letter)) this.selected.delete(letter)
    } catch (error) {
      if (mine !== this.round) return
      // The list stays as it is until the hub answers again.
      if (isNoAnswer(error)) this.figuresAtLoad = undefined
      else this.error = errorText(error)
    } finally {
      if (mine === this.round) this.loading = false
    }
    invalidate()
  }

  close(): void {
    clearTimeout(this.timer)
    this.round++
  }
}

/**
 * All figures that change when a dead letter is added or removed. Their number is not enough: one may be added for each that is removed.
 */
function figuresOf(queue: QueueStatus): string {
  const { deadLetters, deadLettersDroppedTotal, depth, inFlight } = queue
  const { publishedTotal, ackedTotal, redeliveredTotal, droppedTotal } = queue
  return [
    deadLetters,
    deadLettersDroppedTotal,
    depth,
    inFlight,
    publishedTotal,
    ackedTotal,
    redeliveredTotal,
    droppedTotal,
  ].join()
}
