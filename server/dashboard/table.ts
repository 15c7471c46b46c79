import { repeat } from 'lit/directives/repeat.js'
import { html, nothing, type TemplateResult } from 'lit/html.js'
import { missingHubs } from '../../shared/sys.ts'
import { count } from './format.ts'
import { type Counts, type HubList, PAGE_ROWS } from './hub-list.ts'
import { type Content, empty, unanswered, verdict } from './parts.ts'
import { href, type PageRoute } from './route.ts'

/** Maximum number of rows of a table without pages. */
export const MOST_ROWS = 50

/** One page of a list of the hub, as a table. */
interface Listing<Row> {
  readonly label: string
  /** Placeholder of the filter: what it searches. */
  readonly filter: string
  /** Shown if the hub has no rows at all. */
  readonly none: Content
  readonly noneTitle: string
  /** Shown instead if the token lets the user see only some rows, or none. */
  readonly noneSeen?: string | undefined
  readonly noMatch: string
  readonly head: (cell: HeadCell) => TemplateResult
  /** The cells of a row. */
  readonly cells: (row: Row) => TemplateResult
  readonly kind?: string
}

type HeadCell = (key: string, label: string, kind?: string) => TemplateResult

/** The rows that the address selects, in its order, below the filter. */
export function listing<Row, Answer extends Counts>(list: HubList<Row, Answer>, listed: Listing<Row>): TemplateResult {
  const { label, filter, none, noneTitle, noneSeen, noMatch, head, cells, kind = '' } = listed
  const { answer } = list
  if (!answer) return unanswered(list.error)
  if (answer.count === 0)
    return html`${incomplete(answer)}
      ${noneSeen === undefined ? empty(noneTitle, none) : empty(`${noneTitle} that you can see`, noneSeen)}`
  const cell: HeadCell = (key, label, kind = 'number') => sortHead(list, key, label, kind)
  const rows = list.arranged()
  return html`${incomplete(answer)}<div class="row tools">
      <input
        type="search" class="filter" placeholder=${filter} aria-label=${filter} spellcheck="false" .value=${list.filter}
        @input=${(event: Event) => list.filterBy((event.target as HTMLInputElement).value)}
      />
      ${list.firstSort === 'trouble' ? troubleFirst(list) : nothing}
    </div>
    ${
      rows.length === 0
        ? noRows(list, noMatch)
        : html`<div class="panel table listing"><table class=${kind} aria-label=${label}>
          <thead><tr>${head(cell)}</tr></thead>
          <tbody>${repeat(
            rows,
            ({ row }) => list.keyOf(row),
            ({ row, isPast }) =>
              html`<tr class=${isPast ? 'past' : ''} title=${isPast ? 'No longer on this page of the list. These are its last figures.' : nothing}>${cells(row)}</tr>`,
          )}</tbody></table></div>${pages(list)}`
    }`
}

/** Which hubs of the cluster the list lacks. */
function incomplete(answer: Counts): TemplateResult | typeof nothing {
  const note = missingHubs(answer)
  return note === undefined ? nothing : verdict('warn', note)
}

/** The filter matches nothing, or the list has become shorter than the address expects. */
function noRows<Row, Answer extends Counts>({ from, route }: HubList<Row, Answer>, noMatch: string): TemplateResult {
  if (from === 0) return empty(noMatch, 'The filter searches the whole hub. Try another one.')
  return empty('This page of the list is empty', html`<a href=${here(route, { from: '' })}>Go to the first page</a>.`)
}

/** The order that belongs to no column. */
function troubleFirst<Row, Answer extends Counts>({ sort, route }: HubList<Row, Answer>): TemplateResult {
  if (sort === 'trouble') return html`<span class="quiet">Sorted by severity: what needs attention comes first</span>`
  return html`<a href=${here(route, { sort: '', reverse: '', from: '' })}>Sort by severity</a>`
}

/** Links to the other pages of a list. */
function pages<Row, Answer extends Counts>({
  answer,
  route,
  from,
}: HubList<Row, Answer>): TemplateResult | typeof nothing {
  const matching = answer?.matching ?? 0
  if (matching <= PAGE_ROWS && from === 0) return nothing
  const last = Math.min(from + PAGE_ROWS, matching)
  return html`<nav class="pages" aria-label="Pages">
    ${from > 0 ? html`<a class="button" href=${here(route, { from: from > PAGE_ROWS ? String(from - PAGE_ROWS) : '' })}>Previous ${PAGE_ROWS}</a>` : nothing}
    <span class="quiet">${count(from + 1)} to ${count(last)} of ${count(matching)}</span>
    ${last < matching ? html`<a class="button" href=${here(route, { from: String(from + PAGE_ROWS) })}>Next ${PAGE_ROWS}</a>` : nothing}
  </nav>`
}

/** The head of a sortable column: names ascending, figures descending; a second click reverses the order. */
function sortHead<Row, Answer extends Counts>(
  list: HubList<Row, Answer>,
  key: string,
  label: string,
  kind: string,
): TemplateResult {
  const active = list.sort === key
  const reverse = active && !list.reverse
  const descending = kind.includes('text') === list.reverse
  return html`<th class=${kind} scope="col" aria-sort=${active ? (descending ? 'descending' : 'ascending') : nothing}>
    <a class="sort" href=${here(list.route, { sort: key, reverse: reverse ? '1' : '', from: '' })}>${label}<span aria-hidden="true">${active ? (descending ? ' ↓' : ' ↑') : ''}</span></a>
  </th>`
}

/** The address of the same page with other query parameters. */
function here(route: PageRoute, query: Readonly<Record<string, string>>): string {
  return href([route.section, ...route.rest], { ...Object.fromEntries(route.query), ...query })
}

/** Shown below a table that is cut off. */
export function moreRows(total: number, shown: number): TemplateResult | typeof nothing {
  return total > shown ? html`<p class="more">${count(total - shown)} more not shown.</p>` : nothing
}
