import { Counter, Gauge, type Registry } from 'prom-client'

/** Label values, and the value. */
export type Series = readonly [labels: string[], value: number]

/** Declares metrics whose values are counted elsewhere, and read at each scrape. */
export class Families {
  private readonly registry: Registry

  constructor(registry: Registry) {
    this.registry = registry
  }

  gauge(name: string, help: string, value: () => number): void {
    this.labelledGauge(name, help, [], () => [[[], value()]])
  }

  counter(name: string, help: string, value: () => number): void {
    this.labelledCounter(name, help, [], () => [[[], value()]])
  }

  labelledGauge(name: string, help: string, labelNames: string[], values: () => Series[]): void {
    const collect = () => {
      gauge.reset()
      // A metric without labels would otherwise be 0, even if it has no value.
      if (labelNames.length === 0) gauge.remove()
      for (const [labels, value] of values()) gauge.labels(...labels).set(value)
    }
    const gauge: Gauge = new Gauge({ name, help, labelNames, registers: [this.registry], collect })
  }

  /** A counter whose values are counted elsewhere. */
  labelledCounter(name: string, help: string, labelNames: string[], values: () => Series[]): void {
    const collect = () => {
      counter.reset()
      for (const [labels, value] of values()) counter.labels(...labels).inc(value)
    }
    const counter: Counter = new Counter({ name, help, labelNames, registers: [this.registry], collect })
  }
}
