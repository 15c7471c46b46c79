import type { QueueRates } from '../../shared/queues.ts'

/** What is looked at of a queue. */
export interface Sample {
  readonly depth: number
  readonly inFlight: number
  readonly oldestAgeMs: number
  readonly consumers: number
  readonly publishedTotal: number
  readonly ackedTotal: number
}

/** Rates are averages over about this time, in seconds: newer seconds count more. */
const AVERAGE_S = 10
/** Work that waits should be done in this time, in seconds: so many consumers are wanted. */
const DRAIN_TARGET_S = 10
/** A queue that has grown for so long, in seconds, and never shrunk is called out. */
const GROWING_AFTER_S = 30

/**
 * Watches one queue: rates in and out, how many consumers it would need, and whether it only grows.
 *
 * The wanted number is what keeps up with what comes in and has what waits done within the target: `(rate in + depth /
 * target) / what one consumer does`. What one consumer does can be seen only while there is enough to do, so the
 * estimate follows the acks then. Otherwise those count that have something in flight, and it rises only: too high, it
 * makes messages wait, and is put right by what is seen then.
 */
export class QueueMonitor {
  private before: Sample | undefined = undefined
  private publishedPerSecond = 0
  private ackedPerSecond = 0
  private perConsumer: number | undefined = undefined
  private growingSeconds = 0

  /** To be called once in `seconds`. */
  observe(sample: Sample, seconds: number): void {
    const { before } = this
    this.before = sample
    if (!before) return
    const weight = 1 - Math.exp(-seconds / AVERAGE_S)
    const published = (sample.publishedTotal - before.publishedTotal) / seconds
    const acked = (sample.ackedTotal - before.ackedTotal) / seconds
    this.publishedPerSecond += (published - this.publishedPerSecond) * weight
    this.ackedPerSecond += (acked - this.ackedPerSecond) * weight
    this.estimate(sample, before, acked, weight)
    if (sample.depth > before.depth) this.growingSeconds += seconds
    else if (sample.depth < before.depth || sample.depth === 0) this.growingSeconds = 0
  }

  /** Whether another look would show the same as the last one. */
  isAtRest(
    { depth, inFlight, publishedTotal }: Pick<Sample, 'depth' | 'inFlight' | 'publishedTotal'>,
    consumers: number,
  ): boolean {
    const { before } = this
    if (!before || depth + inFlight + before.depth + before.inFlight > 0) return false
    if (publishedTotal !== before.publishedTotal || consumers !== before.consumers) return false
    return rounded(this.publishedPerSecond) === 0 && rounded(this.ackedPerSecond) === 0
  }

  get rates(): QueueRates {
    return {
      publishedPerSecond: rounded(this.publishedPerSecond),
      ackedPerSecond: rounded(this.ackedPerSecond),
      wantedConsumers: this.wanted(),
      keepUpConsumers: this.wanted(),
      growing: this.growingSeconds >= GROWING_AFTER_S,
    }
  }

  private estimate(sample: Sample, before: Sample, acked: number, weight: number): void {
    const consumers = Math.min(sample.consumers, before.consumers)
    if (consumers === 0) return
    const busy = sample.depth > 0 && before.depth > 0
    const each = acked / (busy ? consumers : Math.max(1, Math.min(consumers, sample.inFlight)))
    if (this.perConsumer === undefined) {
      if (each > 0) this.perConsumer = each
    } else if (busy || each > this.perConsumer) {
      this.perConsumer += (each - this.perConsumer) * weight
    }
  }

  private wanted(): number {
    if (!this.before) return 0
    const { depth, inFlight, oldestAgeMs, consumers } = this.before
    const work = depth + inFlight
    if (work === 0 && this.publishedPerSecond < 0.01) return 0
    // Nobody has shown yet what a consumer does: one more than there are, as long as something waits.
    if (this.perConsumer === undefined || this.perConsumer <= 0)
      return depth > 0 ? consumers + 1 : Math.max(1, consumers)
    // What has waited longer than it should is to be done twice as fast.
    const target = oldestAgeMs > DRAIN_TARGET_S * 1000 ? DRAIN_TARGET_S / 2 : DRAIN_TARGET_S
    // Consumers that hang seem to do next to nothing; but more than there are messages would have nothing to do.
    const most = work + Math.ceil(this.publishedPerSecond)
    return Math.max(1, Math.min(most, Math.ceil((this.publishedPerSecond + depth / target) / this.perConsumer)))
  }
}

function rounded(rate: number): number {
  return Math.round(rate * 100) / 100
}
