import { expect, it } from 'vitest'
import { QueueMonitor, type Sample } from '../../server/queue/monitor.ts'

/** A queue of which each second is written down: what comes in, and what its consumers do. */
class Watched {
  readonly monitor = new QueueMonitor()
  private depth = 0
  private publishedTotal = 0
  private ackedTotal = 0

  constructor() {
    this.second({})
  }

  /** A second in which messages come in and each consumer acks as many as it can, or as there are. */
  second({ published = 0, consumers = 0, each = 0, inFlight = 0, oldestAgeMs = 0 }): Watched {
    const acked = Math.min(this.depth + published, consumers * each)
    this.depth += published - acked
    this.publishedTotal += published
    this.ackedTotal += acked
    const { depth, publishedTotal, ackedTotal } = this
    const sample: Sample = { depth, inFlight, oldestAgeMs, consumers, publishedTotal, ackedTotal }
    this.monitor.observe(sample, 1)
    return this
  }

  seconds(count: number, each: Parameters<Watched['second']>[0]): Watched {
    for (let n = 0; n < count; n++) this.second(each)
    return this
  }

  get wanted(): number {
    return this.monitor.rates.wantedConsumers
  }

  get growing(): boolean {
    return this.monitor.rates.growing
  }
}

it('wants nobody for a queue that is empty and gets nothing', () => {
  expect(new Watched().wanted).toBe(0)
  expect(new Watched().seconds(100, { consumers: 3 }).wanted).toBe(0)
})

it('wants one where nobody consumes, however much waits: nobody has shown what one does', () => {
  expect(new Watched().second({ published: 1 }).wanted).toBe(1)
  expect(new Watched().seconds(60, { published: 1000 }).wanted).toBe(1)
})

it('wants one more each time, while there are consumers that have finished nothing yet', () => {
  const queue = new Watched().second({ published: 100 })
  for (let consumers = 0; consumers < 5; consumers++) {
    expect(queue.second({ consumers }).wanted).toBe(consumers + 1)
  }
})

it('wants no more than it has where what they do is all there is', () => {
  expect(new Watched().seconds(5, { consumers: 2, inFlight: 2 }).wanted).toBe(2)
})

it('wants as many as keep up with what comes in, and do what waits in ten seconds', () => {
  const steady = new Watched().seconds(100, { published: 95, consumers: 10, each: 10, inFlight: 10 })
  expect(steady.wanted).toBe(10)
  const backlog = new Watched().second({ published: 1000, consumers: 1, each: 10 }).second({ consumers: 1, each: 10 })
  // 980 wait, which is 98 a second; and the spike is still in the average of what comes in.
  expect(backlog.wanted).toBeGreaterThanOrEqual(10)
  expect(backlog.wanted).toBeLessThanOrEqual(20)
})

it('wants many under a spike and few behind it', () => {
  const queue = new Watched().seconds(60, { published: 10, consumers: 1, each: 20 })
  expect(queue.wanted).toBe(1)
  const spike = queue.seconds(5, { published: 500, consumers: 1, each: 20 }).wanted
  expect(spike).toBeGreaterThan(10)
  expect(queue.seconds(60, { published: 10, consumers: spike, each: 20 }).wanted).toBeLessThanOrEqual(2)
})

it('wants twice as many where what waits has waited longer than it should', () => {
  const queue = new Watched().second({ published: 10_000 }).seconds(60, { consumers: 1, each: 10 })
  const patient = queue.wanted
  expect(queue.second({ consumers: 1, each: 10, oldestAgeMs: 60_000 }).wanted / patient).toBeCloseTo(2, 0)
})

it('never wants more than there are messages, though its consumers hang', () => {
  const queue = new Watched().second({ published: 120 }).seconds(2, { consumers: 2, each: 10 })
  queue.seconds(600, { consumers: 2, each: 0, inFlight: 10, oldestAgeMs: 600_000 })
  // 80 wait, 10 are in flight, and at most one is about to come.
  expect(queue.wanted).toBe(91)
})

it('wants one of eight consumers where they have next to nothing to do', () => {
  const queue = new Watched().seconds(120, { published: 8, consumers: 8, each: 20 })
  expect(queue.wanted).toBe(1)
})

it('calls a queue out that has grown for 30 seconds and never shrunk, and takes it back when it shrinks', () => {
  const queue = new Watched().seconds(29, { published: 2, consumers: 1, each: 1 })
  expect(queue.growing).toBe(false)
  expect(queue.second({ published: 2, consumers: 1, each: 1 }).growing).toBe(true)
  // Standing still is no shrinking.
  expect(queue.second({ published: 1, consumers: 1, each: 1 }).growing).toBe(true)
  expect(queue.second({ consumers: 1, each: 1 }).growing).toBe(false)
  expect(queue.seconds(29, { published: 2, consumers: 1, each: 1 }).growing).toBe(false)
})

it('averages rates over about ten seconds', () => {
  const queue = new Watched().seconds(10, { published: 100, consumers: 1, each: 50 })
  expect(queue.monitor.rates.publishedPerSecond).toBeCloseTo(100 * (1 - Math.exp(-1)), 1)
  expect(queue.monitor.rates.ackedPerSecond).toBeCloseTo(50 * (1 - Math.exp(-1)), 1)
})
