import { expect, it } from 'vitest'
import { QueueMonitor, type Sample } from '../../server/queue/monitor.ts'

interface Second {
  /** Messages that come in and are due, and others that are delayed or come into a parked group. */
  readonly published?: number
  readonly undue?: number
  readonly consumers?: number
  /** What each consumer can ack. */
  readonly each?: number
  /** Consumers that have something in flight, all by default if anything waits; and how much that is. */
  readonly busy?: number
  readonly inFlight?: number
  /** Groups whose head could be handed out; without it no message has a key. */
  readonly heads?: number
}

/** A queue with a script for each second: what comes in, and what its consumers do. */
class Watched {
  readonly monitor = new QueueMonitor()
  private ready = 0
  private undue = 0
  private publishedTotal = 0
  private ackedTotal = 0
  private dueTotal = 0

  constructor() {
    this.second({})
  }

  /** A second in which messages come in and each consumer acks as many as it can, or as there are. */
  second(second: Second): Watched {
    const { published = 0, undue = 0, consumers = 0, each = 0, inFlight = 0, heads = Number.POSITIVE_INFINITY } = second
    const acked = Math.min(this.ready + published, consumers * each)
    this.ready += published - acked
    this.undue += undue
    this.publishedTotal += published + undue
    this.dueTotal += published
    this.ackedTotal += acked
    const { ready, publishedTotal, ackedTotal, dueTotal } = this
    const startable = Math.min(ready, heads)
    const { busy = ready > 0 ? consumers : Math.min(consumers, inFlight) } = second
    const counts = { depth: ready + this.undue, ready, startable, backlog: ready, inFlight }
    const sample: Sample = { ...counts, busyConsumers: busy, publishedTotal, ackedTotal, dueTotal }
    this.monitor.observe(sample, 1)
    return this
  }

  seconds(count: number, each: Second): Watched {
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

it('counts what came in and was acked before the first look', () => {
  const monitor = new QueueMonitor()
  const counts = { depth: 400, ready: 400, startable: 400, backlog: 400, inFlight: 0, busyConsumers: 0 }
  monitor.observe({ ...counts, publishedTotal: 500, ackedTotal: 100, dueTotal: 500 }, 1)
  expect(monitor.rates).toMatchObject({ publishedPerSecond: 500, ackedPerSecond: 100, growing: false })
})

it('wants no consumer for an empty queue that gets nothing', () => {
  expect(new Watched().wanted).toBe(0)
  expect(new Watched().seconds(100, { consumers: 3 }).wanted).toBe(0)
})

it('wants one without consumers, however much waits: no one has shown what one can do', () => {
  expect(new Watched().second({ published: 1 }).wanted).toBe(1)
  expect(new Watched().seconds(60, { published: 1000 }).wanted).toBe(1)
})

it('wants one more each time, while all consumers have something to do and have finished nothing yet', () => {
  const queue = new Watched().second({ published: 100 })
  for (let consumers = 0; consumers < 5; consumers++) {
    expect(queue.second({ consumers, inFlight: consumers }).wanted).toBe(consumers + 1)
  }
  // Those that have nothing ask for no others.
  expect(queue.second({ consumers: 9, busy: 2, inFlight: 2 }).wanted).toBe(3)
})

it('wants no consumer for messages that are delayed or parked, however many consumers join', () => {
  const queue = new Watched().second({ undue: 100 })
  for (let consumers = 0; consumers < 5; consumers++) {
    expect(queue.second({ undue: 100, consumers }).wanted).toBe(0)
    expect(queue.growing).toBe(false)
  }
  expect(queue.seconds(60, { undue: 100 }).growing).toBe(false)
})

it('wants no more than the groups that can go on where all that waits has keys', () => {
  const queue = new Watched().second({ published: 100_000, heads: 4 })
  queue.seconds(20, { published: 100, consumers: 2, each: 10, inFlight: 2, heads: 4 })
  expect(queue.wanted).toBe(6)
  const none = queue.seconds(20, { published: 100, consumers: 9, each: 1, busy: 2, inFlight: 2, heads: 0 })
  expect(none.wanted).toBe(2)
})

it('wants as many as keep up, and for what waits a bounded number more', () => {
  const queue = new Watched().second({ published: 100_000 })
  queue.seconds(120, { published: 50, consumers: 1, each: 10, inFlight: 10 })
  expect(queue.monitor.rates.keepUpConsumers).toBe(5)
  expect(queue.wanted).toBe(105)
  expect(queue.seconds(600, { published: 50, consumers: 1, each: 10, inFlight: 10 }).wanted).toBe(105)
  // Where more than that keep up, as many again.
  const large = new Watched().second({ published: 1_000_000 })
  large.seconds(200, { published: 3000, consumers: 1, each: 10, inFlight: 10 })
  expect(large.wanted).toBe(600)
})

it('wants no more than it has where what they do is all there is', () => {
  expect(new Watched().seconds(5, { consumers: 2, inFlight: 2 }).wanted).toBe(2)
  expect(new Watched().seconds(5, { consumers: 3, busy: 2, inFlight: 2 }).wanted).toBe(2)
})

it('wants as many as keep up with what comes in, and do what waits in ten seconds', () => {
  const steady = new Watched().seconds(100, { published: 95, consumers: 10, each: 10, inFlight: 10 })
  expect(steady.wanted).toBe(10)
  const backlog = new Watched().second({ published: 1000, consumers: 1, each: 10 }).second({ consumers: 1, each: 10 })
  // 980 wait, which is 98 a second; and the spike is still in the average of what comes in.
  expect(backlog.wanted).toBeGreaterThanOrEqual(10)
  expect(backlog.wanted).toBeLessThanOrEqual(20)
})

it('wants many under a spike and few after it', () => {
  const queue = new Watched().seconds(60, { published: 10, consumers: 1, each: 20 })
  expect(queue.wanted).toBe(1)
  const spike = queue.seconds(5, { published: 500, consumers: 1, each: 20 }).wanted
  expect(spike).toBeGreaterThan(10)
  expect(queue.seconds(60, { published: 10, consumers: spike, each: 20 }).wanted).toBeLessThanOrEqual(2)
})

it('never wants more than there are messages, though its consumers hang', () => {
  const queue = new Watched().second({ published: 120 }).seconds(2, { consumers: 2, each: 10 })
  queue.seconds(600, { consumers: 2, each: 0, inFlight: 10 })
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
  // A constant backlog does not shrink.
  expect(queue.second({ published: 1, consumers: 1, each: 1 }).growing).toBe(true)
  expect(queue.second({ consumers: 1, each: 1 }).growing).toBe(false)
  expect(queue.seconds(29, { published: 2, consumers: 1, each: 1 }).growing).toBe(false)
})

it('withdraws it when nothing has come in for 30 seconds, even if nothing consumes what waits', () => {
  const queue = new Watched().seconds(40, { published: 2 })
  expect(queue.growing).toBe(true)
  expect(queue.seconds(29, {}).growing).toBe(true)
  expect(queue.second({}).growing).toBe(false)
  // Delayed messages wait for their time.
  expect(queue.seconds(60, { undue: 2 }).growing).toBe(false)
  // It grows again when it has grown for as long again, and a slow one grows, too.
  expect(queue.seconds(29, { published: 2 }).growing).toBe(false)
  expect(queue.second({ published: 2 }).growing).toBe(true)
  for (let n = 0; n < 10; n++) expect(queue.seconds(19, {}).second({ published: 1 }).growing).toBe(true)
})

it('wants no consumer soon after the last message came in, if nothing is left to do', () => {
  for (const published of [1, 2, 50, 1000]) {
    const queue = new Watched().seconds(60, { published, consumers: 1, each: 1000, inFlight: 1 })
    expect([published, queue.wanted]).toEqual([published, 1])
    expect([published, queue.seconds(10, {}).wanted, queue.monitor.rates.keepUpConsumers]).toEqual([published, 0, 0])
    // The same where it waits for its time, or in a parked group.
    expect(queue.seconds(10, { undue: 3 }).wanted).toBe(0)
  }
  // Ready messages want a consumer, however long ago they came in.
  expect(new Watched().second({ published: 1 }).seconds(100, {}).wanted).toBe(1)
})

it('gives the rates of the last second', () => {
  const queue = new Watched().seconds(10, { published: 100, consumers: 1, each: 50 })
  expect(queue.monitor.rates).toMatchObject({ publishedPerSecond: 100, ackedPerSecond: 50 })
  expect(queue.second({}).monitor.rates).toMatchObject({ publishedPerSecond: 0, ackedPerSecond: 0 })
})
