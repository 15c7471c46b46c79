import uPlot, { type AlignedData } from 'uplot'
import { clock } from './format.ts'

export interface ChartLine {
  readonly label: string
  /** Name of the custom property that holds the line's colour; `<name>-fill` is the colour of the area below the line. */
  readonly color: string
}

export interface ChartSpec {
  readonly lines: readonly ChartLine[]
  /** Formats a value for the legend and for the axis. */
  readonly value: (n: number) => string
  readonly tick: (n: number) => string
}

/** While there is little data, the chart shows this part of its range, up to a maximum in seconds. */
const SHORTEST_PART = 0.2
const SHORTEST_S = 3600
/** Lines after the first are dashed, so that colour is not the only difference. */
const DASH = [6, 4]
const AXIS_FONT = '12px system-ui, sans-serif'

/** `<time-chart>`: lines over time up to now, with a legend that shows the newest values or those under the pointer. */
export class TimeChart extends HTMLElement {
  private plot: uPlot | undefined = undefined
  private chartSpec: ChartSpec | undefined = undefined
  private columns: AlignedData = [[]]
  private rangeS = 300
  private endS = 0
  private readonly values = document.createElement('p')
  private readonly canvas = document.createElement('div')
  private readonly dark = matchMedia('(prefers-color-scheme: dark)')
  private readonly redraw = () => this.plot?.redraw()
  private readonly resizing = new ResizeObserver(() => this.resized())

  set spec(spec: ChartSpec) {
    this.chartSpec = spec
  }

  /** The time span of the chart, in seconds. */
  set range(seconds: number) {
    this.rangeS = seconds
  }

  /** The time at the right edge, in milliseconds since 1970. */
  set end(ms: number) {
    this.endS = ms / 1000
  }

  set data(columns: AlignedData) {
    this.columns = columns
    if (this.plot) this.show()
  }

  connectedCallback(): void {
    this.values.className = 'chart-values'
    this.canvas.className = 'chart-canvas'
    this.canvas.setAttribute('aria-hidden', 'true')
    this.replaceChildren(this.values, this.canvas)
    this.resizing.observe(this.canvas)
    this.dark.addEventListener('change', this.redraw)
  }

  disconnectedCallback(): void {
    this.resizing.disconnect()
    this.dark.removeEventListener('change', this.redraw)
    this.plot?.destroy()
    this.plot = undefined
  }

  private resized(): void {
    const { clientWidth: width, clientHeight: height } = this.canvas
    if (width === 0 || height === 0 || !this.chartSpec) return
    if (this.plot) this.plot.setSize({ width, height })
    else {
      this.plot = new uPlot(this.options(this.chartSpec, width, height), this.columns, this.canvas)
      this.show()
    }
  }

  private show(): void {
    const now = this.endS
    const start = this.columns[0][0] ?? now
    const shortest = Math.min(this.rangeS * SHORTEST_PART, SHORTEST_S)
    this.plot?.batch(() => {
      this.plot?.setData(this.columns, false)
      this.plot?.setScale('x', { min: Math.max(now - this.rangeS, Math.min(start, now - shortest)), max: now })
    })
    this.tell()
  }

  /** Shows the values under the pointer, or the newest ones. */
  private tell(): void {
    const { chartSpec: spec, columns, plot } = this
    if (!spec) return
    const under = plot?.cursor.idx
    const at = under ?? columns[0].length - 1
    const parts = spec.lines.map(({ label, color }, n) => {
      const value = columns[n + 1]?.[at]
      const swatch = document.createElement('span')
      swatch.className = `swatch ${color.slice(2)} ${n > 0 ? 'dashed' : ''}`
      const number = document.createElement('b')
      number.textContent = value === undefined || value === null ? '–' : spec.value(value)
      const part = document.createElement('span')
      part.append(swatch, `${label} `, number)
      return part
    })
    const time = document.createElement('span')
    time.className = 'quiet'
    time.textContent = under === undefined || under === null ? '' : clock((columns[0][at] ?? 0) * 1000)
    this.values.replaceChildren(...parts, time)
  }

  private options(spec: ChartSpec, width: number, height: number): uPlot.Options {
    const color = (name: string) => getComputedStyle(this).getPropertyValue(name)
    // uPlot calls these on each drawing, so that a change of theme takes effect.
    const axis = { stroke: () => color('--muted'), font: AXIS_FONT, ticks: { show: false } }
    return {
      width,
      height,
      legend: { show: false },
      padding: [8, 28, 0, 0],
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
      scales: { x: { time: true }, y: { range: (_, __, max) => [0, roundedUp(max)] } },
      axes: [
        {
          ...axis,
          grid: { show: false },
          incrs: [15, 30, 60, 300, 900, 1800, 3600, 7200, 14_400, 21_600],
          space: 72,
          size: 26,
          values: (_, ticks, __, ___, step) =>
            ticks.map((time) => clock(time * 1000).slice(-8, step < 60 ? undefined : -3)),
        },
        {
          ...axis,
          grid: { stroke: () => color('--line'), width: 1 },
          size: 48,
          space: 32,
          values: (_, ticks) => ticks.map(spec.tick),
        },
      ],
      series: [
        {},
        ...spec.lines.map(({ label, color: name }, n) => ({
          label,
          stroke: () => color(name),
          // Two overlapping areas would look like one.
          ...(spec.lines.length === 1 ? { fill: () => color(`${name}-fill`) } : {}),
          ...(n > 0 ? { dash: DASH } : {}),
          width: 1.75,
          points: { show: false },
        })),
      ],
      hooks: { setCursor: [() => this.tell()] },
    }
  }
}

/** Rounds up to the next of 1, 2, 5, 10 …, so that the top grid line is above all values. */
function roundedUp(max: number): number {
  if (!(max > 0)) return 1
  const unit = 10 ** Math.floor(Math.log10(max))
  return ([1, 2, 3, 4, 5, 6, 8, 10].find((n) => n * unit >= max) ?? 10) * unit
}

customElements.define('time-chart', TimeChart)
