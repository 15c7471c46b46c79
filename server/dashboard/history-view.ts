import { html, nothing, type TemplateResult } from 'lit/html.js'
import type { History, HistoryRange } from '../../shared/sys.ts'
import type { ChartLine, ChartSpec } from './chart.ts'
import { tick } from './format.ts'
import { hubNow } from './hub.ts'
import { unanswered } from './parts.ts'
import { poll } from './poll.ts'
import { href, type PageRoute } from './route.ts'

/** A range: how far it reaches back, and from how much time to the next its samples are, in seconds. */
interface TimeRange {
  readonly words: string
  readonly title: string
  readonly seconds: number
  readonly stepS: number
}

const RANGES: Readonly<Record<HistoryRange, TimeRange>> = {
  minutes: { words: '5 minutes', title: 'The last five minutes', seconds: 300, stepS: 1 },
  day: { words: '24 hours', title: 'The last 24 hours', seconds: 86_400, stepS: 60 },
}

/** How many samples may be missing before the line is interrupted. */
const HOLE_STEPS = 5

/** A chart of figures that the hub remembers. */
export interface Chart {
  readonly lines: readonly (ChartLine & { readonly figure: string })[]
  readonly value: (n: number) => string
}

/** The charts of the hub, a queue or a stream, from what the hub remembers of it. */
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
  ${history.kept ? nothing : html`<p class="more">The hub keeps no history of it at the moment: more queues or streams are busy than it keeps histories of.</p>`}`
}

/** The switch between the ranges. */
function choice(route: PageRoute, range: HistoryRange): TemplateResult {
  return html`<nav class="ranges" aria-label="Range of the charts">${Object.entries(RANGES).map(([name, { words }]) => {
    const query = { ...Object.fromEntries(route.query), range: name === 'minutes' ? '' : name }
    return html`<a href=${href([route.section, ...route.rest], query)} aria-current=${name === range}>${words}</a>`
  })}</nav>`
}

/** Times in seconds and some of the figures, as a chart wants them; a hole has a null in it. */
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
