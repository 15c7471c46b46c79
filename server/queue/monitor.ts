import type { QueueRates } from '../../shared/queues.ts'

/** What the monitor needs to know about a queue. Delayed messages, retries that wait and parked groups count in `depth` only. */
export interface Sample {
  readonly depth: number
  readonly inFlight: number
  /** Waiting messages that are due, and how many of them could be handed out at once, one per group. */
  readonly ready: number
  readonly startable: number
  /** Waiting messages that have become due, including those that wait for a retry or in a parked group. */
  readonly backlog: number
  /** Consumers that have something in flight. Others do not affect the estimate. */
  readonly busyConsumers: number
  readonly publishedTotal: number
  readonly ackedTotal: number
  /** Messages that have become due, each counted once. */
  readonly dueTotal: number
}

/** Rates are averaged over about this time, in seconds; recent seconds count more. */
const AVERAGE_S = 10
/** Target time to clear what is due, in seconds. */
const DRAIN_TARGET_S = 10
/**
 * Maximum number of consumers wanted for the backlog, unless keeping up needs more. Without a maximum, a backlog without consumers
 * would ask for more and more of them, which tells an operator nothing and drives a scaler to its limit.
 */
const MAX_FOR_BACKLOG = 100
/** Without publishes for this long, in seconds, the input rate counts as zero, however slowly the average fades. */
const IDLE_AFTER_S = 10
/** A queue that has grown for this long, in seconds, without shrinking is reported, until nothing has been published for as long. */
const GROWING_AFTER_S = 30
/** Fewer messages per second than this count as none. */
const NONE_PER_S = 0.01

/**
 * Watches one queue: rates in and out, how many consumers it needs, and whether it keeps growing.
 *
 * The wanted number of consumers keeps up with what becomes due and clears the backlog within the target: `(rate + ready / target)
 * / rate of one consumer`. An idle consumer changes none of these. The rate of one consumer can be observed only while there is
 * enough work, so the estimate follows the acks then. At other times only consumers with something in flight count, and the
 * estimate can only rise: if it is too high, messages wait, and the next observation corrects it.
 */
export class QueueMonitor {
  private before: Sample | undefined = undefined
  private publishedPerSecond = 0
  private ackedPerSecond = 0
  /** Rate at which messages become due, averaged. */
  private duePerSecond = 0
  private perConsumer: number | undefined = undefined
  private growingSeconds = 0
  /** Seconds since a message became due. */
  private quietSeconds = 0
  /** As of the last observation. */
  rates: QueueRates = {
    publishedPerSecond: 0,
    ackedPerSecond: 0,
    wantedConsumers: 0,
    keepUpConsumers: 0,
    growing: false,
  }

  /** Call once in `seconds`. */
  observe(sample: Sample, seconds: number): void {
    // Nothing was published or acked before the queue was watched: everything since then counts in the first observation.
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

  /** Whether another observation would give the same result as the last one. */
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
    // Consumers that connected within this second show only part of their rate.
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
    // Consumers that hang seem to do next to nothing; but consumers beyond the number of messages that can be handled at once would
    // be idle. While messages wait for others of their group, new ones cannot start.
    const most = Math.max(1, startable + inFlight + (ready > startable ? 0 : Math.ceil(duePerSecond)))
    // No consumer has shown its rate yet: want one more than those that are busy, as long as there is more to do.
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

/** An average slightly above its limit must not add a consumer. */
function wholeConsumers(consumers: number): number {
  return Math.ceil(consumers - 0.05)
}

function rounded(rate: number): number {
  return Math.round(rate * 100) / 100
}
