import type { SearchWithHistory } from '../../shared/sys.ts'
import { type Polled, poll } from './poll.ts'
import { type PageRoute, setQuery } from './route.ts'
import { type Placed, StillRows } from './still.ts'

/** Rows on one page of a list. */
export const PAGE_ROWS = 50

/** How long typing in a filter may pause before the hub is asked, in milliseconds. */
const TYPING_MS = 200

interface ListSource<Answer, Row> {
  readonly method: string
  readonly rows: (answer: Answer) => readonly Row[]
  readonly keyOf: (row: Row) => string
  /** The orders that the hub knows for it, and the one in which it is shown at first. */
  readonly sorts: readonly string[]
  readonly sort: string
  /** Whether each row has its recent history. */
  readonly history?: boolean
}

/** How many there are, and how many of them have what the filter says. */
export interface Counts {
  readonly count: number
  readonly matching: number
}

/** The last answer to each method: what is seen until the next one has come, when another order or page is asked for. */
const lastAnswers = new Map<string, Counts>()

/** A list of the hub: the page of it, in the order and with the filter that the address says, asked for once a second. */
export class HubList<Row, Answer extends Counts> {
  readonly route: PageRoute
  readonly keyOf: (row: Row) => string
  private readonly source: ListSource<Answer, Row>
  private readonly still: StillRows<Row>
  private polled: Polled<Answer>
  private timer: ReturnType<typeof setTimeout> | undefined = undefined

  constructor(route: PageRoute, source: ListSource<Answer, Row>) {
    this.route = route
    this.source = source
    this.keyOf = source.keyOf
    this.still = new StillRows('.listing tbody', source.keyOf)
    this.polled = this.ask()
  }

  get sort(): string {
    const wanted = this.route.query.get('sort') ?? ''
    return this.source.sorts.includes(wanted) ? wanted : this.firstSort
  }

  get firstSort(): string {
    return this.source.sort
  }

  get reverse(): boolean {
    return this.route.query.has('reverse')
  }

  get filter(): string {
    return this.route.query.get('filter') ?? ''
  }

  /** The rank of the first row. */
  get from(): number {
    const from = Number(this.route.query.get('from'))
    return Number.isSafeInteger(from) && from > 0 ? from : 0
  }

  get error(): string | undefined {
    return this.polled.error
  }

  get answer(): Answer | undefined {
    const { value } = this.polled
    if (value) lastAnswers.set(this.source.method, value)
    return value ?? (lastAnswers.get(this.source.method) as Answer | undefined)
  }

  /** The rows as they are to be drawn. */
  arranged(): readonly Placed<Row>[] {
    const { answer, polled } = this
    // An earlier list's answer was to something else.
    return answer ? this.still.arranged(this.source.rows(answer), polled.value && polled) : []
  }

  filterBy(text: string): void {
    setQuery(this.route, 'from', '')
    setQuery(this.route, 'filter', text)
    clearTimeout(this.timer)
    this.timer = setTimeout(() => {
      this.polled.stop()
      this.polled = this.ask()
    }, TYPING_MS)
  }

  close(): void {
    clearTimeout(this.timer)
    this.polled.stop()
  }

  private ask(): Polled<Answer> {
    const { sort, from, reverse } = this
    const { method, history } = this.source
    const filter = this.filter.trim()
    const search: SearchWithHistory<string> = {
      filter,
      sort,
      reverse,
      from,
      limit: PAGE_ROWS,
      ...(history && { history }),
    }
    return poll<Answer>(method, search)
  }
}
