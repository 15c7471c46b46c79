import type { Coverage, SearchWithHistory } from '../../shared/sys.ts'
import { type Polled, poll } from './poll.ts'
import { type PageRoute, setQuery } from './route.ts'
import { type Placed, StillRows } from './still.ts'

/** Rows per page of a list. */
export const PAGE_ROWS = 50

/** How long a pause in typing has to be before the hub is asked again, in milliseconds. */
const TYPING_MS = 200

interface ListSource<Answer, Row> {
  readonly method: string
  readonly rows: (answer: Answer) => readonly Row[]
  readonly keyOf: (row: Row) => string
  /** The sort orders that the hub offers, and the initial one. */
  readonly sorts: readonly string[]
  readonly sort: string
  /** Whether each row has its recent history. */
  readonly history?: boolean
}

/** The total number of rows, and how many match the filter. Lists that the hubs of a cluster answer together say which of them are missing. */
export interface Counts extends Partial<Coverage> {
  readonly count: number
  readonly matching: number
}

/** The last answer to each method, shown until the first answer in another order or page arrives. */
const lastAnswers = new Map<string, Counts>()

/** One page of a list of the hub, with the order and filter from the address, polled once a second. */
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

  /** The rows in the order in which they are drawn. */
  arranged(): readonly Placed<Row>[] {
    const { answer, polled } = this
    // The answer of an earlier list was to a different question.
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
