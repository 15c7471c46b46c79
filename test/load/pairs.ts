import type { Socket } from 'node:net'
import { DeliveryCounter, payload } from './delivery-counter.ts'
import { greet } from './fan-out.ts'
import { cpuSeconds, moveToLoadCore, separateCores } from './process-stats.ts'
import { openRaw } from './raw-websocket.ts'
import { number, print, row, title } from './report.ts'
import { missing, type Running, type Target, type TopicTarget } from './targets.ts'

export interface PairsLoad {
  readonly size: number
  readonly seconds: number
  readonly rounds: number
}

/** Publishers, each with its own topic and this many subscribers, and how many messages of each may be in flight. */
interface Shape {
  readonly name: string
  readonly publishers: number
  readonly subscribers: number
  readonly window: number
  /** What a hub should reach, as a part of what the last target does in the same round. */
  readonly wanted: string
}

const SHAPES: readonly Shape[] = [
  { name: 'one pair', publishers: 1, subscribers: 1, window: 256, wanted: '≥ 0.5' },
  { name: '100 pairs', publishers: 100, subscribers: 1, window: 16, wanted: '≥ 0.5' },
  { name: 'one to 10', publishers: 1, subscribers: 10, window: 256, wanted: '≥ 1' },
  { name: 'one to 100', publishers: 1, subscribers: 100, window: 256, wanted: '≥ 1.5' },
]

const WARM_UP_MS = 1_000
/** Publishes that a publisher has ready: it takes them again and again, so that the load costs next to nothing. */
const PREPARED = 2048

interface Measured {
  readonly deliveriesPerSecond: number
  readonly cpuMicrosPerPublish: number | undefined
}

/**
 * One publish in each WebSocket message, as a client sends that has one at a time to say, to few subscribers: what a publish itself costs.
 * What is under way is counted by what subscribers have got, so that it is the same for all servers, whatever they acknowledge.
 */
export async function pairs(targets: readonly TopicTarget[], load: PairsLoad): Promise<void> {
  moveToLoadCore()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(1))
  print(
    `${load.size} bytes, a publish in each WebSocket message${separateCores ? ', server and load on one core each' : ''}.`,
  )
  for (const shape of SHAPES) {
    title(`${shape.name}, ${shape.window} messages of each publisher under way`)
    for (let round = 0; round < load.rounds; round++) await compareShape(targets, shape, load)
  }
}

async function compareShape(targets: readonly TopicTarget[], shape: Shape, load: PairsLoad): Promise<void> {
  const measured: [TopicTarget, Measured][] = []
  for (const target of targets) {
    const reason = missing(target)
    if (reason) row(target.name, 'left out', reason)
    else measured.push([target, await measure(target, shape, load)])
  }
  const reference = measured.at(-1)
  for (const [target, { deliveriesPerSecond, cpuMicrosPerPublish }] of measured) {
    const cost = cpuMicrosPerPublish === undefined ? '' : `${cpuMicrosPerPublish.toFixed(2)} µs of CPU a publish`
    const ratio = deliveriesPerSecond / (reference?.[1].deliveriesPerSecond ?? Number.NaN)
    const beside = target === reference?.[0] ? '' : `${ratio.toFixed(2)} × ${reference?.[0].name} (${shape.wanted})`
    row(target.name, `${number(deliveriesPerSecond)}/s`, cost, beside)
  }
}

async function measure(target: TopicTarget, shape: Shape, { size, seconds }: PairsLoad): Promise<Measured> {
  const server = await target.start()
  const groups: Group[] = []
  try {
    for (let n = 0; n < shape.publishers; n++) groups.push(await Group.open(target, server, `pairs.${n}`, shape, size))
    for (const group of groups) group.start()
    await passed(WARM_UP_MS)
    const delivered = () => groups.reduce((sum, group) => sum + group.delivered, 0)
    const before = { delivered: delivered(), cpu: server.pid && cpuSeconds(server.pid), at: performance.now() }
    await passed(seconds * 1000)
    const deliveries = delivered() - before.delivered
    const elapsed = (performance.now() - before.at) / 1000
    const cpu = server.pid && before.cpu !== undefined ? cpuSeconds(server.pid) - before.cpu : undefined
    const publishes = deliveries / shape.subscribers
    return {
      deliveriesPerSecond: deliveries / elapsed,
      cpuMicrosPerPublish: cpu === undefined ? undefined : (cpu * 1e6) / publishes,
    }
  } finally {
    for (const group of groups) group.close()
    await server.stop()
  }
}

/** A publisher and its subscribers. */
class Group {
  private readonly publisher: Socket
  private readonly subscribers: readonly Socket[]
  private readonly counters: readonly DeliveryCounter[]
  private readonly window: number
  private readonly bytes: Buffer
  /** Where each of the prepared publishes begins, and where the last one ends. */
  private readonly starts: readonly number[]
  private sent = 0
  /** Messages that its subscribers have got. */
  delivered = 0
  private closed = false

  private constructor(
    publisher: Socket,
    subscribers: readonly Socket[],
    window: number,
    size: number,
    prepared: readonly Buffer[],
  ) {
    this.publisher = publisher
    this.subscribers = subscribers
    this.window = window
    this.counters = subscribers.map(() => new DeliveryCounter(size, false))
    this.bytes = Buffer.concat(prepared)
    let at = 0
    this.starts = [0, ...prepared.map(({ length }) => (at += length))]
    // What it receives is read, and does not matter here.
    publisher.resume()
    for (const [n, socket] of subscribers.entries()) {
      socket.on('data', (chunk: Buffer) => {
        const counter = this.counters[n] as DeliveryCounter
        const before = counter.count
        counter.add(chunk)
        this.delivered += counter.count - before
        this.publish()
      })
    }
  }

  static async open(
    target: TopicTarget,
    server: Running,
    topic: string,
    { subscribers, window }: Shape,
    size: number,
  ): Promise<Group> {
    const open = async (path: string, greeting: Target['greet']) => {
      const socket = await openRaw(server, path, target.protocol)
      if (greeting) await greet(socket, target, greeting)
      return socket
    }
    const publisher = await open(target.publisherPath, target.greet)
    const readers: Socket[] = []
    for (let n = 0; n < subscribers; n++) readers.push(await open(target.subscriberPath, target.subscribeTo(topic)))
    const prepared = Array.from({ length: PREPARED }, (_, n) => target.publishAlone(topic, payload(n, size, 0), n))
    return new Group(publisher, readers, window, size, prepared)
  }

  start(): void {
    this.publish()
  }

  close(): void {
    this.closed = true
    for (const socket of [this.publisher, ...this.subscribers]) socket.destroy()
  }

  /** As many as may be under way, each in a message of its own, in one write. */
  private publish(): void {
    if (this.closed) return
    let room = this.window - (this.sent - Math.floor(this.delivered / this.counters.length))
    while (room > 0) {
      const from = this.sent % PREPARED
      const count = Math.min(room, PREPARED - from)
      this.publisher.write(this.bytes.subarray(this.starts[from], this.starts[from + count]))
      this.sent += count
      room -= count
    }
  }
}

function passed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
