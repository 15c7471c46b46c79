import uPlot, { type AlignedData } from 'uplot'

export interface Line {
  readonly label: string
  /** A custom property of the style sheet: `--chart-1`. */
  readonly colour: string
  readonly fill?: boolean
  /** `right`: by the axis of small numbers. */
  readonly axis?: 'right'
  /** Goes in steps, and not in slopes. */
  readonly steps?: boolean
}

/** Times in seconds, then the values of each line. */
export type ChartData = AlignedData

/** A chart that has just begun is not stretched. */
const LEAST_SECONDS = 60
const TIME = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' })

/** `<line-chart>`: lines over time. Its colours are those of the page, and its height that of its box. */
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
    this.plot?.setData(values)
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

  private get size(): { width: number; height: number } {
    return { width: this.clientWidth, height: this.clientHeight }
  }

  private draw(): void {
    this.plot?.destroy()
    const style = getComputedStyle(this)
    const colour = (name: string) => style.getPropertyValue(name).trim()
    const clock = (_: uPlot, ticks: number[]) => ticks.map((tick) => TIME.format(tick * 1000))
    const whole = (_: uPlot, ticks: number[]) => ticks.map((tick) => (Number.isInteger(tick) ? String(tick) : ''))
    const axis = {
      stroke: colour('--muted'),
      grid: { stroke: colour('--line'), width: 1 },
      ticks: { show: false },
      font: `12px ${style.fontFamily}`,
    }
    const right = this.lines.some((line) => line.axis === 'right')
    // From nought, and high enough that a lone message is no mountain.
    const range =
      (least: number): uPlot.Range.Function =>
      (_, __, max) => [0, Math.max(least, (max ?? 0) * 1.1)]
    this.plot = new uPlot(
      {
        ...this.size,
        legend: { show: false },
        cursor: { show: false },
        padding: [8, right ? 0 : 8, 0, 0],
        scales: {
          x: { range: (_, min, max) => [Math.min(min, max - LEAST_SECONDS), max] },
          y: { range: range(10) },
          right: { range: range(5) },
        },
        axes: [
          { ...axis, space: 80, size: 28, values: clock },
          { ...axis, size: 44, values: whole },
          ...(right
            ? [{ ...axis, scale: 'right', side: 1 as const, size: 30, values: whole, grid: { show: false } }]
            : []),
        ],
        series: [
          {},
          ...this.lines.map((line) => ({
            label: line.label,
            scale: line.axis ?? 'y',
            stroke: colour(line.colour),
            width: 2,
            points: { show: false },
            ...(line.fill && { fill: `color-mix(in srgb, ${colour(line.colour)} 18%, transparent)` }),
            ...(line.steps && { paths: uPlot.paths.stepped?.({ align: 1 }) as uPlot.Series.PathBuilder }),
          })),
        ],
      },
      this.values,
      this,
    )
  }
}

customElements.define('line-chart', LineChart)
