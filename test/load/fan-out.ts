import type { Socket } from 'node:net'
import { DeliveryCounter, payload } from './delivery-counter.ts'
import { cpuSeconds, residentBytes } from './process-stats.ts'
import { clientFrame, openRaw, seen } from './raw-websocket.ts'
import { BATCH, type Running, type Target } from './targets.ts'

export interface FanOut {
  readonly subscribers: number
  readonly publishers: number
  /** Characters of a payload, 30 at least. */
  readonly size: number
  /** Messages a second, of all publishers; undefined: as fast as it goes. */
  readonly rate: number | undefined
  /** So many of the subscribers stop reading after the warm-up. */
  readonly stalled: number
  readonly seconds: number
}

export interface FanOutResult {
  readonly target: string
  readonly deliveriesPerSecond: number
  /** Of the subscribers that read, and what they got of what was published meanwhile. */
  readonly share: number
  readonly cpuMicrosPerDelivery: number
  readonly cpuShare: number
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly megabytes: number
  readonly megabytesPeak: number
}

/** Unacknowledged publishes of one publisher, of whichever target. */
const WINDOW = 256
const WARM_UP_MS = 1_000

/** Runs one fan-out through one server, in a process of its own, and takes its measure. */
export async function fanOut(target: Target, scenario: FanOut): Promise<FanOutResult> {
  const server = await target.start()
  try {
    return await measure(target, server, scenario)
  } finally {
    await server.stop()
  }
}

async function measure(target: Target, server: Running, scenario: FanOut): Promise<FanOutResult> {
  const { subscribers, publishers, size, rate, stalled, seconds } = scenario
  const counters: DeliveryCounter[] = []
  const sockets: Socket[] = []
  for (let n = 0; n < subscribers; n++) {
    const socket = await openRaw(server.port, target.subscriberPath, target.protocol)
    if (target.subscribe) await greet(socket, target, target.subscribe)
    const counter = new DeliveryCounter(size, rate !== undefined)
    socket.on('data', (chunk: Buffer) => counter.add(chunk))
    counters.push(counter)
    sockets.push(socket)
  }
  const sources = await Promise.all(
    Array.from({ length: publishers }, () => Publisher.open(target, server, size, rate && rate / publishers)),
  )
  for (const source of sources) source.start()
  await passed(WARM_UP_MS)
  for (const socket of sockets.slice(0, stalled)) socket.pause()
  if (stalled > 0) await passed(WARM_UP_MS)
  const reading = counters.slice(stalled)
  for (const counter of reading) counter.latency.reset()
  const memory = residentBytes(server.pid)
  const before = { count: sum(reading), sent: sources.reduce((all, source) => all + source.sent, 0) }
  const cpuBefore = cpuSeconds(server.pid)
  const start = performance.now()
  let peak = memory
  while (performance.now() - start < seconds * 1000) {
    await passed(Math.min(500, seconds * 1000))
    peak = Math.max(peak, residentBytes(server.pid))
  }
  const elapsed = (performance.now() - start) / 1000
  const deliveries = sum(reading) - before.count
  const cpu = cpuSeconds(server.pid) - cpuBefore
  const sent = sources.reduce((all, source) => all + source.sent, 0) - before.sent
  for (const source of sources) source.stop()
  for (const socket of sockets) socket.destroy()
  const latency = reading[0]?.latency
  for (const counter of reading.slice(1)) latency?.add(counter.latency)
  const milliseconds = (percent: number) => (latency?.percentile(percent) ?? 0) / 1000
  return {
    target: target.name,
    deliveriesPerSecond: deliveries / elapsed,
    share: deliveries / (sent * reading.length),
    cpuMicrosPerDelivery: (cpu * 1e6) / deliveries,
    cpuShare: cpu / elapsed,
    p50: milliseconds(50),
    p99: milliseconds(99),
    p999: milliseconds(99.9),
    megabytes: memory / 2 ** 20,
    megabytesPeak: peak / 2 ** 20,
  }
}

class Publisher {
  sent = 0
  private readonly socket: Socket
  private readonly target: Target
  private readonly size: number
  private readonly rate: number | undefined
  private acknowledged = 0
  private cut = ''
  private timer: NodeJS.Timeout | undefined
  private stopped = false

  private constructor(socket: Socket, target: Target, size: number, rate: number | undefined) {
    this.socket = socket
    this.target = target
    this.size = size
    this.rate = rate
  }

  static async open(target: Target, server: Running, size: number, rate: number | undefined): Promise<Publisher> {
    const socket = await openRaw(server.port, target.publisherPath, target.protocol)
    if (target.greet) await greet(socket, target, target.greet)
    return new Publisher(socket, target, size, rate)
  }

  start(): void {
    const { rate } = this
    this.socket.on('data', (chunk: Buffer) => this.acknowledge(chunk))
    if (rate === undefined) return this.fill()
    const start = performance.now()
    this.timer = setInterval(() => {
      const due = Math.floor(((performance.now() - start) / 1000) * rate)
      while (this.sent < due) this.send(1)
    }, 1)
  }

  stop(): void {
    this.stopped = true
    clearInterval(this.timer)
    this.socket.destroy()
  }

  private fill(): void {
    while (!this.stopped && this.sent - this.acknowledged + BATCH <= WINDOW) this.send(BATCH)
  }

  private send(count: number): void {
    const payloads = Array.from({ length: count }, (_, n) => payload(this.sent + n, this.size))
    this.socket.write(this.target.publish(payloads, this.sent))
    this.sent += count
  }

  private acknowledge(chunk: Buffer): void {
    const { text, messages } = this.target.ack
    const pieces = (this.cut + chunk.toString('latin1')).split(text)
    this.acknowledged += (pieces.length - 1) * messages
    this.cut = text.length > 1 ? (pieces.at(-1) ?? '').slice(1 - text.length) : ''
    if (this.rate === undefined) this.fill()
  }
}

async function greet(socket: Socket, target: Target, { say, hear }: { say: string; hear: string }): Promise<void> {
  const heard = seen(socket, hear)
  socket.write(clientFrame(say, target.name === 'nats-server'))
  await heard
}

function sum(counters: readonly DeliveryCounter[]): number {
  return counters.reduce((all, { count }) => all + count, 0)
}

function passed(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}
