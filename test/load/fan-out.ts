import type { Socket } from 'node:net'
import type { Scenario } from '../../server/cli/bench.ts'
import { FanfareError } from '../../shared/errors.ts'
import { answerChecks } from './check-answers.ts'
import { DeliveryCounter, nowMicros, payload } from './delivery-counter.ts'
import { cpuSeconds, residentBytes } from './process-stats.ts'
import { clientFrame, openRaw, seen } from './raw-websocket.ts'
import { BATCH, type Running, type Target } from './targets.ts'

export interface FanOutResult {
  readonly target: string
  readonly deliveriesPerSecond: number
  /** Of the subscribers that read, and what they got of what was due meanwhile. */
  readonly share: number
  /** In milliseconds, from when a message was due. */
  readonly p50: number
  readonly p99: number
  readonly p999: number
  /** Of the server, where it is a process of our own. */
  readonly process: ProcessCost | undefined
}

export interface ProcessCost {
  readonly cpuMicrosPerDelivery: number
  readonly cpuShare: number
  readonly megabytes: number
  readonly megabytesPeak: number
}

/** Unacknowledged publishes of one publisher, of whichever target. */
const WINDOW = 256
const WARM_UP_MS = 1_000
const SAMPLE_MS = 500

/** Runs one fan-out through one server and takes its measure. */
export async function fanOut(target: Target, scenario: Scenario): Promise<FanOutResult> {
  const server = await target.start()
  const subscribers: Subscriber[] = []
  const publishers: Publisher[] = []
  try {
    for (let n = 0; n < scenario.subscribers; n++) subscribers.push(await openSubscriber(target, server, scenario))
    const rate = scenario.rate === undefined ? undefined : scenario.rate / scenario.publishers
    for (let n = 0; n < scenario.publishers; n++) {
      publishers.push(await Publisher.open(target, server, scenario.size, rate))
    }
    for (const publisher of publishers) publisher.start()
    await passed(WARM_UP_MS)
    const { stalled } = scenario
    for (const { socket } of subscribers.slice(0, stalled)) socket.pause()
    if (stalled > 0) await passed(WARM_UP_MS)
    return await measure(target.name, server.pid, subscribers.slice(stalled), publishers, scenario.seconds)
  } finally {
    for (const publisher of publishers) publisher.stop()
    for (const { socket } of subscribers) socket.destroy()
    await server.stop()
  }
}

async function measure(
  target: string,
  pid: number | undefined,
  reading: readonly Subscriber[],
  publishers: readonly Publisher[],
  seconds: number,
): Promise<FanOutResult> {
  const delivered = () => reading.reduce((all, { counter }) => all + counter.count, 0)
  const due = () => publishers.reduce((all, publisher) => all + publisher.due, 0)
  for (const { counter } of reading) counter.latency.reset()
  const before = { delivered: delivered(), due: due(), cpu: pid && cpuSeconds(pid), memory: pid && residentBytes(pid) }
  let peak = before.memory ?? 0
  const start = performance.now()
  while (performance.now() - start < seconds * 1000) {
    await passed(SAMPLE_MS)
    for (const publisher of publishers) publisher.check()
    if (pid !== undefined) peak = Math.max(peak, residentBytes(pid))
  }
  const elapsed = (performance.now() - start) / 1000
  const deliveries = delivered() - before.delivered
  const cpu = pid === undefined || before.cpu === undefined ? undefined : cpuSeconds(pid) - before.cpu
  const latency = reading[0]?.counter.latency
  for (const { counter } of reading.slice(1)) latency?.add(counter.latency)
  const milliseconds = (percent: number) => (latency?.percentile(percent) ?? 0) / 1000
  return {
    target,
    deliveriesPerSecond: deliveries / elapsed,
    share: deliveries / ((due() - before.due) * reading.length),
    p50: milliseconds(50),
    p99: milliseconds(99),
    p999: milliseconds(99.9),
    process:
      cpu === undefined
        ? undefined
        : {
            cpuMicrosPerDelivery: (cpu * 1e6) / deliveries,
            cpuShare: cpu / elapsed,
            megabytes: (before.memory ?? 0) / 2 ** 20,
            megabytesPeak: peak / 2 ** 20,
          },
  }
}

export interface Subscriber {
  readonly socket: Socket
  readonly counter: DeliveryCounter
}

export async function openSubscriber(
  target: Target,
  server: Running,
  { size, rate }: { readonly size: number; readonly rate?: number | undefined },
): Promise<Subscriber> {
  const socket = await openRaw(server, target.subscriberPath, target.protocol)
  const counter = new DeliveryCounter(size, rate !== undefined)
  socket.on('data', (chunk: Buffer) => counter.add(chunk))
  // What came before a check has been counted when it is answered.
  if (target.answersChecksOf) answerChecks(socket)
  if (target.subscribe) await greet(socket, target, target.subscribe)
  return { socket, counter }
}

export class Publisher {
  private sent = 0
  private readonly socket: Socket
  private readonly target: Target
  private readonly size: number
  private readonly rate: number | undefined
  private readonly window: number
  private acknowledged = 0
  /** Since when those messages have been due that the window does not let go yet, in microseconds. */
  private readonly waiting: number[] = []
  private cut = ''
  private timer: NodeJS.Timeout | undefined
  private state: 'open' | 'lost' | 'stopped' = 'open'

  private constructor(socket: Socket, target: Target, size: number, rate: number | undefined, window: number) {
    this.socket = socket
    this.target = target
    this.size = size
    this.rate = rate
    this.window = window
  }

  static async open(target: Target, server: Running, size: number, rate: number | undefined): Promise<Publisher> {
    const socket = await openRaw(server, target.publisherPath, target.protocol)
    const heard = target.greet ? await greet(socket, target, target.greet) : ''
    // A hub that runs already may grant less.
    const granted = Number(/"window":(\d+)/.exec(heard)?.[1] ?? WINDOW)
    return new Publisher(socket, target, size, rate, Math.min(WINDOW, granted))
  }

  /** Messages that were to be sent so far. */
  get due(): number {
    return this.sent + this.waiting.length
  }

  start(): void {
    const { rate } = this
    this.socket.on('data', (chunk: Buffer) => this.acknowledge(chunk))
    this.socket.on('close', () => {
      if (this.state === 'open') this.state = 'lost'
    })
    if (rate === undefined) return this.fill()
    const start = performance.now()
    this.timer = setInterval(() => {
      const due = Math.floor(((performance.now() - start) / 1000) * rate)
      while (this.due < due) this.waiting.push(nowMicros())
      this.sendWaiting()
    }, 1)
  }

  check(): void {
    if (this.state === 'lost') throw new FanfareError('connection_lost', `${this.target.name} closed: ${this.cut}`)
  }

  stop(): void {
    this.state = 'stopped'
    clearInterval(this.timer)
    this.socket.destroy()
  }

  private fill(): void {
    const batch = Math.min(BATCH, this.window)
    while (this.state === 'open' && this.sent - this.acknowledged + batch <= this.window) {
      this.send(Array.from({ length: batch }, nowMicros))
    }
  }

  /** One by one: a rate is that of many publishers that know nothing of each other. */
  private sendWaiting(): void {
    while (this.waiting.length > 0 && this.sent - this.acknowledged < this.window) this.send(this.waiting.splice(0, 1))
  }

  private send(due: readonly number[]): void {
    const payloads = due.map((micros, n) => payload(this.sent + n, this.size, micros))
    this.socket.write(this.target.publish(payloads, this.sent))
    this.sent += due.length
  }

  private acknowledge(chunk: Buffer): void {
    const { text, messages } = this.target.ack
    const pieces = (this.cut + chunk.toString('latin1')).split(text)
    this.acknowledged += (pieces.length - 1) * messages
    this.cut = text.length > 1 ? (pieces.at(-1) ?? '').slice(1 - text.length) : ''
    if (this.rate === undefined) this.fill()
    else this.sendWaiting()
  }
}

export async function greet(
  socket: Socket,
  target: Target,
  { say, hear }: { say: string; hear: string },
): Promise<string> {
  const heard = seen(socket, hear)
  socket.write(clientFrame(say, target.name === 'nats-server'))
  return heard
}

function passed(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}
