import { html, nothing, type TemplateResult } from 'lit/html.js'
import type { History, HistoryRange } from '../../shared/sys.ts'
import type { ChartLine, ChartSpec } from './chart.ts'
import { tick } from './format.ts'
import { hubNow } from './hub.ts'
import { unanswered } from './parts.ts'
import { poll } from './poll.ts'
import { href, type PageRoute } from './route.ts'

/** A time range: its length and the interval of its samples, in seconds. */
interface TimeRange {
  readonly words: string
  readonly title: string
  readonly seconds: number
  readonly stepS: number
}

const RANGES: Readonly<Record<HistoryRange, TimeRange>> = {
  minutes: { words: '5 minutes', title: 'Last 5 minutes', seconds: 300, stepS: 1 },
  day: { words: '24 hours', title: 'Last 24 hours', seconds: 86_400, stepS: 60 },
}

/** How many samples may be missing before the line is interrupted. */
const HOLE_STEPS = 5

/** A chart of figures whose history the hub keeps. */
export interface Chart {
  readonly lines: readonly (ChartLine & { readonly figure: string })[]
  readonly value: (n: number) => string
}

/** The charts of the hub, a queue or a stream, from the history that the hub keeps. */
export interface HistoryView {
  charts(charts: readonly Chart[]): TemplateResult
  close(): void
}

export function historyOf(route: PageRoute, of: { readonly of: string; readonly name?: string }): HistoryView {
  const range: HistoryRange = route.query.get('range') === 'day' ? 'day' : 'minutes'
  const { stepS } = RANGES[range]
  const history = poll<History>('hub.history', { ...of, range }, stepS * 1000)
  const specs = new Map<string, ChartSpec>()
  return {
    close: () => history.stop(),
    charts(charts) {
      return html`<section class="history" aria-label=${RANGES[range].title}>
        <header class="heading"><h2>${RANGES[range].title}</h2>${choice(route, range)}</header>
        ${history.value ? drawn(charts, history.value, range, specs) : unanswered(history.error)}
      </section>`
    },
  }
}

function drawn(
  charts: readonly Chart[],
  history: History,
  range: HistoryRange,
  specs: Map<string, ChartSpec>,
): TemplateResult {
  const { seconds, stepS } = RANGES[range]
  return html`<div class="charts">${charts.map(({ lines, value }) => {
    const key = lines.map(({ label }) => label).join()
    const spec = specs.get(key) ?? { lines, value, tick }
    specs.set(key, spec)
    const data = columns(
      history,
      lines.map(({ figure }) => figure),
      stepS,
    )
    return html`<time-chart class="panel" .spec=${spec} .range=${seconds} .end=${hubNow()} .data=${data}></time-chart>`
  })}</div>
  ${history.kept ? nothing : html`<p class="more">The hub has no history of this right now: it keeps histories of the busiest queues and streams only.</p>`}`
}

/** The links that switch between the ranges. */
function choice(route: PageRoute, range: HistoryRange): TemplateResult {
  return html`<nav class="ranges" aria-label="Range of the charts">${Object.entries(RANGES).map(([name, { words }]) => {
    const query = { ...Object.fromEntries(route.query), range: name === 'minutes' ? '' : name }
    return html`<a href=${href([route.section, ...route.rest], query)} aria-current=${name === range}>${words}</a>`
  })}</nav>`
}

/** The times in seconds and some of the figures, in uPlot's format; missing samples are null. */
function columns(
  { times, figures }: History,
  wanted: readonly string[],
  stepS: number,
): [number[], ...(number | null)[][]] {
  const seconds: number[] = []
  const values = wanted.map((): (number | null)[] => [])
  for (const [n, ms] of times.entries()) {
    const before = seconds.at(-1)
    if (before !== undefined && ms / 1000 - before > HOLE_STEPS * stepS) {
      seconds.push(before + stepS)
      for (const column of values) column.push(null)
    }
    seconds.push(ms / 1000)
    for (const [c, name] of wanted.entries()) values[c]?.push(figures[name]?.[n] ?? null)
  }
  return [seconds, ...values]
}
