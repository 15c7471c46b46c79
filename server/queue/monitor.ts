import type { QueueRates } from '../../shared/queues.ts'

/** What is looked at of a queue. Delayed messages, waits before another attempt and parked groups are in `depth` only. */
export interface Sample {
  readonly depth: number
  readonly inFlight: number
  /** Messages that wait and are due; and of these the ones that could be handed out at once, one of each group. */
  readonly ready: number
  readonly startable: number
  /** Messages that wait and have been due, also those that wait for another attempt or in a parked group. */
  readonly backlog: number
  /** Consumers that have something in flight. Others change nothing in what is wanted. */
  readonly busyConsumers: number
  readonly publishedTotal: number
  readonly ackedTotal: number
  /** Messages that have become due, each once. */
  readonly dueTotal: number
}

/** The estimate averages rates over about this time, in seconds: newer seconds count more. */
const AVERAGE_S = 10
/** What is due should be done in this time, in seconds. */
const DRAIN_TARGET_S = 10
/**
 * For what is due already, this many consumers are wanted at most, or as many again as keep up. A backlog that nobody works on would
 * ask for more and more of them, which says nothing to an operator and lets a scaler go to its limit.
 */
const MAX_FOR_BACKLOG = 100
/** Nothing comes in any longer where nothing has come in for so long, in seconds, however slowly the average fades. */
const IDLE_AFTER_S = 10
/** A queue that has grown for so long, in seconds, and never shrunk is called out, until nothing has come in for as long. */
const GROWING_AFTER_S = 30
/** Fewer messages a second than this are none. */
const NONE_PER_S = 0.01

/**
 * Watches one queue: rates in and out, how many consumers it would need, and whether it only grows.
 *
 * The wanted number is what keeps up with what becomes due and has what is due now done within the target: `(rate + ready /
 * target) / what one consumer does`. A consumer that has nothing to do changes none of these. What one consumer does can be seen only
 * while there is enough to do, so the estimate follows the acks then. Otherwise those count that have something in flight, and it rises
 * only: too high, it makes messages wait, and is put right by what is seen then.
 */
export class QueueMonitor {
  private before: Sample | undefined = undefined
  private publishedPerSecond = 0
  private ackedPerSecond = 0
  /** Messages that become due, averaged. */
  private duePerSecond = 0
  private perConsumer: number | undefined = undefined
  private growingSeconds = 0
  /** Since something has become due. */
  private quietSeconds = 0
  /** As of the last look. */
  rates: QueueRates = {
    publishedPerSecond: 0,
    ackedPerSecond: 0,
    wantedConsumers: 0,
    keepUpConsumers: 0,
    growing: false,
  }

  /** Call once in `seconds`. */
  observe(sample: Sample, seconds: number): void {
    // Nothing had come in or been acked before the queue came to be watched: what has since then counts in the first look.
    const before = this.before ?? { ...sample, publishedTotal: 0, ackedTotal: 0 }
    this.before = sample
    this.compare(sample, before, seconds)
    this.rates = {
      publishedPerSecond: rounded(this.publishedPerSecond),
      ackedPerSecond: rounded(this.ackedPerSecond),
      ...this.wanted(),
      growing: this.growingSeconds >= GROWING_AFTER_S,
    }
  }

  /** Whether another look would show the same as the last one. */
  isAtRest({ depth, inFlight, publishedTotal }: Pick<Sample, 'depth' | 'inFlight' | 'publishedTotal'>): boolean {
    const { before } = this
    if (!before || depth + inFlight + before.depth + before.inFlight > 0) return false
    if (publishedTotal !== before.publishedTotal) return false
    return rounded(this.publishedPerSecond) + rounded(this.ackedPerSecond) + rounded(this.duePerSecond) === 0
  }

  private compare(sample: Sample, before: Sample, seconds: number): void {
    const weight = 1 - Math.exp(-seconds / AVERAGE_S)
    this.publishedPerSecond = (sample.publishedTotal - before.publishedTotal) / seconds
    const ackedBefore = this.ackedPerSecond
    this.ackedPerSecond = (sample.ackedTotal - before.ackedTotal) / seconds
    this.duePerSecond += ((sample.dueTotal - before.dueTotal) / seconds - this.duePerSecond) * weight
    // Consumers that have come within this second show only part of what they do.
    if (before.busyConsumers > 0 || ackedBefore > 0) this.estimate(sample, before, weight)
    this.quietSeconds = sample.dueTotal > before.dueTotal ? 0 : this.quietSeconds + seconds
    const ended = sample.backlog < before.backlog || sample.backlog === 0 || this.quietSeconds >= GROWING_AFTER_S
    if (ended) this.growingSeconds = 0
    else if (sample.backlog > before.backlog) this.growingSeconds += seconds
  }

  private estimate(sample: Sample, before: Sample, weight: number): void {
    const hasEnough = sample.startable > 0 && before.startable > 0
    const least = Math.min(sample.busyConsumers, before.busyConsumers)
    const most = Math.max(sample.busyConsumers, before.busyConsumers)
    const each = this.ackedPerSecond / Math.max(1, hasEnough ? least : most)
    if (this.perConsumer === undefined) {
      if (each > 0) this.perConsumer = each
    } else if ((hasEnough && least > 0) || each > this.perConsumer) {
      this.perConsumer += (each - this.perConsumer) * weight
    }
  }

  private wanted(): Pick<QueueRates, 'wantedConsumers' | 'keepUpConsumers'> {
    const { before, duePerSecond, perConsumer } = this
    const comesIn = duePerSecond >= NONE_PER_S && this.quietSeconds < IDLE_AFTER_S
    if (!before || (before.ready + before.inFlight === 0 && !comesIn)) return { wantedConsumers: 0, keepUpConsumers: 0 }
    const { ready, startable, inFlight, busyConsumers } = before
    // Consumers that hang seem to do next to nothing; but more than can have a message at a time would have nothing to do. While messages
    // wait for others of their group, those that come in start nothing.
    const most = Math.max(1, startable + inFlight + (ready > startable ? 0 : Math.ceil(duePerSecond)))
    // Nobody has shown yet what a consumer does: one more than those that have something to do, as long as there is more.
    if (!perConsumer) {
      const oneMore = Math.max(1, busyConsumers + (startable > 0 ? 1 : 0))
      return { wantedConsumers: Math.min(most, oneMore), keepUpConsumers: comesIn ? 1 : 0 }
    }
    const keepsUp = duePerSecond / perConsumer
    const drains = Math.min(ready / DRAIN_TARGET_S / perConsumer, Math.max(MAX_FOR_BACKLOG, keepsUp))
    return {
      wantedConsumers: Math.max(1, Math.min(most, wholeConsumers(keepsUp + drains))),
      keepUpConsumers: comesIn ? Math.min(most, Math.max(1, wholeConsumers(keepsUp))) : 0,
    }
  }
}

/** An average that is a little above what it tends to asks for no consumer more. */
function wholeConsumers(consumers: number): number {
  return Math.ceil(consumers - 0.05)
}

function rounded(rate: number): number {
  return Math.round(rate * 100) / 100
}
