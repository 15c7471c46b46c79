import { html, nothing, type TemplateResult } from 'lit/html.js'
import { count } from './format.ts'
import { empty } from './parts.ts'
import { href, type Route, setQuery } from './route.ts'

/** Rows that a table shows at most: they are drawn every second, also where the machine has other things to do. */
export const MOST_ROWS = 50

/** A column by which a table can be sorted: the biggest first, texts from A on. */
export type SortKeys<Row> = Readonly<Record<string, (row: Row) => number | string>>

/** A table that can be filtered and sorted. */
interface Listing<Row> {
  readonly keys: SortKeys<Row>
  /** The column by which it is sorted at first. */
  readonly first: string
  /** What the filter looks through. */
  readonly text: (row: Row) => string
  readonly filter: string
  /** Said where the filter leaves nothing. */
  readonly noMatch: string
  readonly head: (cell: HeadCell) => TemplateResult
  readonly row: (row: Row) => TemplateResult
}

type HeadCell = (key: string, label: string, kind?: string) => TemplateResult

/** The rows that the route asks for, in its order, below the field of the filter. */
export function listing<Row>(rows: readonly Row[], route: Route, listed: Listing<Row>): TemplateResult {
  const { keys, first, text, filter, noMatch, head, row } = listed
  const found = sorted(filtered(rows, route, text), keys, route, first)
  const shown = found.slice(0, MOST_ROWS)
  const cell: HeadCell = (key, label, kind = 'number') => sortHead(route, keys, first, key, label, kind)
  return html`${filterField(route, filter)}
    ${
      shown.length === 0
        ? empty(noMatch, 'Try another filter.')
        : html`<div class="panel table"><table>
          <thead><tr>${head(cell)}</tr></thead>
          <tbody>${shown.map(row)}</tbody></table></div>${moreRows(found.length, shown.length)}`
    }`
}

/** The rows in the order that the route asks for, or in that of `first`. */
export function sorted<Row>(rows: readonly Row[], keys: SortKeys<Row>, route: Route, first: string): Row[] {
  const key = keys[sortOf(route, keys, first)] as (row: Row) => number | string
  const sign = route.query.get('reverse') === null ? 1 : -1
  return [...rows].sort((a, b) => {
    const [x, y] = [key(a), key(b)]
    const order = typeof x === 'string' || typeof y === 'string' ? String(x).localeCompare(String(y)) : y - x
    return sign * order
  })
}

/** The head of a sortable column. */
export function sortHead(
  route: Route,
  keys: SortKeys<never>,
  first: string,
  key: string,
  label: string,
  kind = '',
): TemplateResult {
  const active = sortOf(route, keys, first) === key
  const reversed = active && route.query.get('reverse') !== null
  const { sort: _, reverse: __, ...query } = Object.fromEntries(route.query)
  const to = href([route.section, ...route.rest], { ...query, sort: key, reverse: active && !reversed ? '1' : '' })
  const isText = kind.includes('text')
  const direction = reversed === isText ? 'descending' : 'ascending'
  return html`<th class=${kind} scope="col" aria-sort=${active ? direction : nothing}>
    <a class="sort" href=${to}>${label}<span aria-hidden="true">${active ? (direction === 'descending' ? ' ↓' : ' ↑') : ''}</span></a>
  </th>`
}

/** A field that filters what is below it. */
export function filterField(route: Route, label: string, name = 'filter'): TemplateResult {
  return html`<input
    type="search" class="filter" placeholder=${label} aria-label=${label} spellcheck="false"
    .value=${route.query.get(name) ?? ''}
    @input=${(event: Event) => setQuery(route, name, (event.target as HTMLInputElement).value)}
  />`
}

/** Those whose text has what the filter says. */
export function filtered<Row>(rows: readonly Row[], route: Route, text: (row: Row) => string): readonly Row[] {
  const wanted = (route.query.get('filter') ?? '').trim().toLowerCase()
  return wanted === '' ? rows : rows.filter((row) => text(row).toLowerCase().includes(wanted))
}

/** What is said below a table that does not show everything. */
export function moreRows(total: number, shown: number): TemplateResult | typeof nothing {
  return total > shown ? html`<p class="more">${count(total - shown)} more. A filter brings them up.</p>` : nothing
}

function sortOf(route: Route, keys: SortKeys<never>, first: string): string {
  const wanted = route.query.get('sort')
  return wanted !== null && Object.hasOwn(keys, wanted) ? wanted : first
}
