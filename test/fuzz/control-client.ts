import { type Client, connect } from '../../client/node.ts'

/** Names that no other client uses. */
export const CONTROL_STREAM = { name: 'control', topics: ['control.kept'], maxMessages: 10_000 }
export const CONTROL_QUEUE = { name: 'control', bindings: [{ topic: 'control.work' }] }
const PATHS = ['control.live', 'control.kept', 'control.work'] as const
/** A busy machine may take longer than the default for an acknowledgement; the queue would rightly hand the message out again. */
const ACK_DEADLINE_MS = 600_000
type Path = (typeof PATHS)[number]

/** What a client has seen that goes about its own business: published, received in order, and what was not as it should be. */
export interface ControlReport {
  readonly published: Readonly<Record<Path, number>>
  readonly received: Readonly<Record<Path, number>>
  readonly wrong: readonly string[]
  /** Longest time from a publish to its arrival, in milliseconds. */
  readonly slowestMs: number
}

interface Numbered {
  readonly n: number
  readonly at: number
}

/** Publishes numbered messages on a live topic, into a stream and into a queue, one at a time on each, and reads them. */
export class ControlClient {
  private readonly publisher: Client
  private readonly reader: Client
  private readonly published: Record<Path, number> = { 'control.live': 0, 'control.kept': 0, 'control.work': 0 }
  private readonly received: Record<Path, number> = { 'control.live': 0, 'control.kept': 0, 'control.work': 0 }
  private readonly wrong: string[] = []
  private slowestMs = 0
  private stopped = false
  private running: Promise<unknown> = Promise.resolve()
  private readonly wake: Partial<Record<Path, () => void>> = {}

  private constructor(url: string) {
    this.publisher = connect(url, { name: 'control' })
    this.reader = connect(url, { name: 'control' })
  }

  static async start(url: string): Promise<ControlClient> {
    const control = new ControlClient(url)
    await control.read()
    control.running = Promise.all(PATHS.map((path) => control.publishOn(path)))
    return control
  }

  /** How many messages have come. */
  get count(): number {
    return PATHS.reduce((sum, path) => sum + this.received[path], 0)
  }

  /** Asks the hub for one of its methods, as the operator who watches. */
  call(method: string, params?: object): Promise<unknown> {
    return this.reader.call(method, params)
  }

  async stop(): Promise<ControlReport> {
    this.stopped = true
    await this.running
    const { published, received, wrong, slowestMs } = this
    await Promise.all([this.publisher.close(), this.reader.close()])
    return { published, received, wrong, slowestMs }
  }

  private async read(): Promise<void> {
    for (const path of ['control.live', 'control.kept'] as const) {
      const subscription = this.reader.subscribe(path, ({ data }) => this.arrived(path, data as Numbered), {
        onGap: (gap) => this.wrong.push(`${path}: a gap, ${JSON.stringify(gap)}`),
        ...(path === 'control.kept' && { from: 'latest' }),
      })
      await subscription.ready
    }
    const worker = this.reader.consume<Numbered>('control', ({ data }) => this.arrived('control.work', data), {
      ackDeadline: ACK_DEADLINE_MS,
    })
    await worker.ready
    for (const client of [this.publisher, this.reader]) {
      client.onState(({ to, reason }) => {
        if (!this.stopped) this.wrong.push(`the connection is ${to}: ${reason.code}`)
      })
    }
  }

  /** The next one goes out when this one has come: what is lost stands still, and the test that waits for it fails. */
  private async publishOn(path: Path): Promise<void> {
    while (!this.stopped) {
      const n = ++this.published[path]
      const come = new Promise<void>((resolve) => {
        this.wake[path] = resolve
      })
      await this.publisher.publish(path, { n, at: performance.now() })
      await come
    }
  }

  private arrived(path: Path, { n, at }: Numbered): void {
    if (n !== this.received[path] + 1) this.wrong.push(`${path}: ${n} after ${this.received[path]}`)
    this.received[path] = n
    this.slowestMs = Math.max(this.slowestMs, performance.now() - at)
    this.wake[path]?.()
  }
}
