import type { ConsumerOutlet } from './consumer-owner.ts'

/** Notifies a client which deliveries are settled: one frame for everything that one commit has settled. */
export class SettledNotice {
  private readonly consumer: number
  private readonly outlet: ConsumerOutlet
  private deliveries: number[] = []

  constructor(consumer: number, outlet: ConsumerOutlet) {
    this.consumer = consumer
    this.outlet = outlet
  }

  add(delivery: number): void {
    if (this.deliveries.length === 0) queueMicrotask(() => this.send())
    this.deliveries.push(delivery)
  }

  private send(): void {
    const { consumer, deliveries } = this
    this.deliveries = []
    this.outlet.send({ type: 'settled', consumer, deliveries })
  }
}
