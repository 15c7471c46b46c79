import uPlot, { type AlignedData } from 'uplot'
import { clock } from './text.ts'

export interface Line {
  readonly label: string
  /** A custom property of the style sheet: `--chart-1`. */
  readonly colour: string
  readonly fill?: boolean
  /** Draws steps instead of slopes. */
  readonly steps?: boolean
  /** Distinguishes the line from the others without colour. */
  readonly dashed?: boolean
}

/** Times in seconds, then the values of each line. */
export type ChartData = AlignedData

/** Minimum time span: a chart that has just begun is not stretched. */
const LEAST_SECONDS = 60

/** `<line-chart>`: lines over time. It takes its colours from the page, and its height from its box. */
export class LineChart extends HTMLElement {
  private lines: readonly Line[] = []
  private values: ChartData = [[]]
  private plot: uPlot | undefined
  private readonly dark = matchMedia('(prefers-color-scheme: dark)')
  private readonly resized = new ResizeObserver(() => this.plot?.setSize(this.size))
  private readonly redraw = () => this.draw()

  set series(lines: readonly Line[]) {
    this.lines = lines
    if (this.isConnected && !this.plot) this.draw()
  }

  set data(values: ChartData) {
    this.values = values
    this.plot?.setData(this.shown)
  }

  connectedCallback(): void {
    this.resized.observe(this)
    this.dark.addEventListener('change', this.redraw)
    this.draw()
  }

  disconnectedCallback(): void {
    this.resized.disconnect()
    this.dark.removeEventListener('change', this.redraw)
    this.plot?.destroy()
    this.plot = undefined
  }

  /** A chart without values shows its axes, up to now. */
  private get shown(): ChartData {
    if (this.values[0].length > 0) return this.values
    const now = Date.now() / 1000
    return [[now - LEAST_SECONDS, now], ...this.lines.map(() => [null, null])] as ChartData
  }

  private get size(): { width: number; height: number } {
    return { width: this.clientWidth, height: this.clientHeight }
  }

  private draw(): void {
    this.plot?.destroy()
    const style = getComputedStyle(this)
    const colour = (name: string) => style.getPropertyValue(name).trim()
    const axis = {
      stroke: colour('--muted'),
      grid: { stroke: colour('--line'), width: 1 },
      ticks: { show: false },
      font: `12px ${style.fontFamily}`,
    }
    this.plot = new uPlot(
      {
        ...this.size,
        legend: { show: false },
        cursor: { show: false },
        padding: [8, 28, 0, 0],
        scales: { x: { range: times }, y: { range: values } },
        axes: [
          { ...axis, space: 80, size: 28, values: (_, ticks) => ticks.map((tick) => clock(tick * 1000)) },
          { ...axis, space: 24, size: 44, values: (_, ticks) => ticks.map((n) => (Number.isInteger(n) ? `${n}` : '')) },
        ],
        series: [
          {},
          ...this.lines.map((line) => ({
            label: line.label,
            stroke: colour(line.colour),
            width: 2,
            points: { show: false },
            ...(line.dashed && { dash: [6, 4] }),
            ...(line.fill && { fill: `color-mix(in srgb, ${colour(line.colour)} 18%, transparent)` }),
            ...(line.steps && { paths: uPlot.paths.stepped?.({ align: 1 }) as uPlot.Series.PathBuilder }),
          })),
        ],
      },
      this.shown,
      this,
    )
  }
}

function times({ data: [all] }: uPlot): uPlot.Range.MinMax {
  // uPlot passes a whole day if there is only one value.
  const [first = 0, last = first] = [all[0], all.at(-1)]
  return [Math.min(first, last - LEAST_SECONDS), last]
}

/** From zero, and high enough that a single message does not look like a peak. */
function values(_: uPlot, __: number | null, most: number | null): uPlot.Range.MinMax {
  return [0, Math.max(5, (most ?? 0) * 1.1)]
}

customElements.define('line-chart', LineChart)
