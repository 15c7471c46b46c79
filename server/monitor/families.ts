/** Label values, and the value. */
export type Series = readonly [labels: readonly string[], value: number]

/**
 * Metrics in the text format of Prometheus. Values that are counted elsewhere are read at each scrape. The package prom-client would
 * write the same, but takes a tenth of the CPU time of a start: it also loads what it needs for traces and summaries.
 */
export class Families {
  readonly contentType = 'text/plain; version=0.0.4; charset=utf-8'
  private readonly all: (() => string)[] = []

  gauge(name: string, help: string, value: () => number): void {
    this.labelledGauge(name, help, [], () => [[[], value()]])
  }

  counter(name: string, help: string, value: () => number): void {
    this.labelledCounter(name, help, [], () => [[[], value()]])
  }

  labelledGauge(name: string, help: string, labelNames: readonly string[], values: () => readonly Series[]): void {
    this.add(name, help, 'gauge', () => values().map((series) => line(name, labelNames, series)))
  }

  labelledCounter(name: string, help: string, labelNames: readonly string[], values: () => readonly Series[]): void {
    this.add(name, help, 'counter', () => values().map((series) => line(name, labelNames, series)))
  }

  /** Its values are observed as they happen. */
  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    const histogram = new Histogram(bounds)
    this.add(name, help, 'histogram', () => [
      ...histogram.cumulative().map(([bound, count]) => line(`${name}_bucket`, ['le'], [[numberOf(bound)], count])),
      line(`${name}_sum`, [], [[], histogram.sum]),
      line(`${name}_count`, [], [[], histogram.count]),
    ])
    return histogram
  }

  /** One family after the other, each with its help and type. */
  *texts(): Iterable<string> {
    for (const text of this.all) yield text()
  }

  private add(name: string, help: string, type: string, lines: () => readonly string[]): void {
    const head = [`# HELP ${name} ${escaped(help)}`, `# TYPE ${name} ${type}`]
    this.all.push(() => [...head, ...lines()].join('\n'))
  }
}

/** Counts observed values in buckets. */
export class Histogram {
  sum = 0
  count = 0
  private readonly bounds: readonly number[]
  /** How many values are in each bucket, and in the last one those beyond all bounds. */
  private readonly counts: number[]

  constructor(bounds: readonly number[]) {
    this.bounds = [...bounds, Number.POSITIVE_INFINITY]
    this.counts = this.bounds.map(() => 0)
  }

  observe(value: number): void {
    this.sum += value
    this.count++
    const at = this.bounds.findIndex((bound) => value <= bound)
    this.counts[at] = (this.counts[at] as number) + 1
  }

  /** How many values were not larger than each bound. */
  cumulative(): (readonly [bound: number, count: number])[] {
    let total = 0
    return this.bounds.map((bound, at) => {
      total += this.counts[at] as number
      return [bound, total]
    })
  }
}

function line(name: string, labelNames: readonly string[], [labels, value]: Series): string {
  const pairs = labelNames.map((label, at) => `${label}="${escaped(labels[at] as string).replaceAll('"', '\\"')}"`)
  return `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${numberOf(value)}`
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

function numberOf(value: number): string {
  return Number.isFinite(value) ? `${value}` : Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
}
