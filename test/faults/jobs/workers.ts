import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Client, connect, type Delivery } from '../../../client/node.ts'
import type { DeliveryFrame, Frame } from '../../../shared/frames.ts'
import { FlakyNetwork } from '../../setup/flaky-network.ts'
import { Peer } from '../../setup/peer.ts'
import type { Note } from './judge.ts'
import type { Step, WorkerOptions } from './mix.ts'

type Job = { readonly n: number; readonly plan: readonly Step[] }
type Handler = (delivery: Pick<Delivery<Job>, 'data' | 'attempt' | 'signal' | 'reject'>) => unknown

export interface Worker {
  /** Cuts its connection; it comes back. */
  cut(): void
  /** Closes in good order. */
  close(): Promise<void>
  /** Ends without a word. */
  kill(): Promise<void>
}

const HANDLER = './handler.js'
const never = new Promise<never>(() => {})
const handlerOf = async (note: (note: Note) => void, die: () => unknown): Promise<Handler> => {
  const module = (await import(HANDLER)) as { handlerOf(note: (note: Note) => void, die: () => unknown): Handler }
  return module.handlerOf(note, die)
}

/** A client in this process, on a network of its own. */
export async function clientWorker(port: number, options: WorkerOptions, note: (note: Note) => void): Promise<Worker> {
  const network = await FlakyNetwork.to(port)
  const client = connect(network.url, { backoff: { base: 1, cap: 20 } })
  let killed = false
  // Also what the client does by itself then is part of that.
  const noteOf = (each: Note) => note(killed && each.code !== undefined ? { ...each, code: 'killed' } : each)
  const handler = await handlerOf(noteOf, () => {
    // Not in this turn, or the network would have nothing of what was sent in it, as the system of a process that ends has.
    setTimeout(() => network.cut(), 5)
    return never
  })
  const { kind, ...consume } = options
  const onError = (error: unknown, delivery?: Delivery<unknown>) => {
    const { code } = error as { code?: string }
    const lost = code === 'lease_lost' || code === 'connection_lost'
    if (lost && delivery) note({ n: (delivery.data as Job).n, act: 'lost' })
  }
  if (kind === 'handler') client.consume<Job>('jobs', handler, { ...consume, onError })
  else void read(client, consume, handler, onError)
  return {
    cut: () => network.cut(),
    async close() {
      await client.close()
      await network.close()
    },
    async kill() {
      killed = true
      network.refuse()
      await client.close()
      await network.close()
    },
  }
}

/** Reads a consumer as programs do: one after the other, each settled by what became of it. */
async function read(
  client: Client,
  options: object,
  handler: Handler,
  onError: (error: unknown, delivery?: Delivery<unknown>) => void,
): Promise<void> {
  for await (const delivery of client.consume<Job>('jobs', options)) {
    const gone = new Promise<void>((resolve) => delivery.signal.addEventListener('abort', () => resolve()))
    // Nothing else ends what hangs.
    const settled = async () => {
      await new Promise((resolve) => resolve(handler(delivery))).then(
        () => (delivery.settled ? undefined : delivery.ack()),
        (error: unknown) => delivery.nack({ error }),
      )
    }
    await Promise.race([settled(), gone]).catch((error: unknown) => onError(error, delivery))
  }
}

/** A program in another language, that knows `consume`, `ack`, `nack` and `reject`, and does one thing after the other. */
export async function foreignWorker(port: number, options: WorkerOptions, note: (note: Note) => void): Promise<Worker> {
  const worker = new ForeignWorker(port, options, note)
  await worker.start()
  return worker
}

class ForeignWorker implements Worker {
  private readonly url: string
  private readonly prefetch: number
  private readonly note: (note: Note) => void
  private peer: Peer | undefined
  private waiting: DeliveryFrame[] = []
  private current: { readonly frame: DeliveryFrame; readonly lost: () => void } | undefined
  /** What it has done, and the hub has not confirmed. */
  private readonly unconfirmed = new Map<number, number>()
  private working = false
  private ended = false
  private closing: Promise<void> | undefined

  constructor(port: number, { prefetch }: WorkerOptions, note: (note: Note) => void) {
    this.url = `ws://127.0.0.1:${port}/`
    this.prefetch = prefetch
    this.note = note
  }

  async start(): Promise<void> {
    const peer = await Peer.hello(this.url)
    this.peer = peer
    this.waiting = []
    let at = 0
    peer.socket.on('message', () => {
      for (; at < peer.frames.length; at++) this.take(peer.frames[at] as Frame)
    })
    peer.send({ type: 'consume', consumer: 1, queue: 'jobs', prefetch: this.prefetch })
    void peer.closed.then(() => {
      for (const n of this.unconfirmed.values()) this.note({ n, act: 'lost' })
      if (this.current) this.note({ n: jobOf(this.current.frame).n, act: 'lost' })
      this.unconfirmed.clear()
      this.waiting = []
      return this.ended ? undefined : this.start()
    })
  }

  /** It is cut only when it dies by itself: of what is on its way to it, it has no history. */
  cut(): void {}

  /** Two events may end it at once. */
  close(): Promise<void> {
    this.closing ??= this.end()
    return this.closing
  }

  private async end(): Promise<void> {
    this.ended = true
    const { current, peer } = this
    peer?.send({ type: 'cancel', consumer: 1 })
    // What it does goes back.
    if (current && peer?.socket.readyState === 1)
      this.note({ n: jobOf(current.frame).n, act: 'aborted', code: 'client_closed' })
    await peer?.next('cancelled').catch(() => {})
    peer?.socket.terminate()
  }

  kill(): Promise<void> {
    return this.close()
  }

  private take(frame: Frame): void {
    if (frame.type === 'delivery') this.waiting.push(frame)
    if (frame.type === 'settled') for (const delivery of frame.deliveries) this.unconfirmed.delete(delivery)
    if (frame.type === 'lost') {
      this.waiting = this.waiting.filter(({ delivery }) => !frame.deliveries.includes(delivery))
      if (this.current && frame.deliveries.includes(this.current.frame.delivery)) this.current.lost()
    }
    if (!this.working) void this.work()
  }

  private async work(): Promise<void> {
    this.working = true
    await this.workOff(this.peer as Peer)
    this.working = false
  }

  private async workOff(peer: Peer): Promise<void> {
    for (let frame = this.waiting.shift(); frame && !this.ended; frame = this.waiting.shift()) {
      const { delivery, attempt } = frame
      const data = jobOf(frame)
      const say = (type: string) => peer.send({ type, consumer: 1, delivery })
      const handler = await handlerOf(this.note, () => {
        peer.socket.terminate()
        return never
      })
      const reject = async () => void say('reject')
      const rejects = data.plan[Math.min(attempt, data.plan.length) - 1]?.[0] === 'reject'
      const { signal } = new AbortController()
      await new Promise<void>((resolve) => {
        const lost = () => {
          this.note({ n: data.n, act: 'lost' })
          resolve()
        }
        this.current = { frame: frame as DeliveryFrame, lost }
        const run = new Promise((result) => result(handler({ data, attempt, signal, reject })))
        run
          .then(
            () => {
              this.unconfirmed.set(delivery, data.n)
              if (!rejects) say('ack')
            },
            () => say('nack'),
          )
          .finally(resolve)
      })
      this.current = undefined
      if (peer.socket.readyState !== 1) return
      // It lives, and can take more.
      peer.send({ type: 'return', consumer: 1, deliveries: [] })
    }
  }
}

function jobOf({ message }: DeliveryFrame): Job {
  return message.data as Job
}

/** A process of its own. It dies by itself as its messages say, and then another one comes. */
export class ProcessWorker implements Worker {
  private child: ChildProcess | undefined
  private ended = false
  private readonly env: Record<string, string>
  private readonly died: Set<number>

  constructor(url: string, history: string, { kind: _, ...options }: WorkerOptions, died: Set<number>) {
    this.died = died
    this.env = { FANFARE_URL: url, HISTORY: history, OPTIONS: JSON.stringify(options) }
  }

  async start(): Promise<void> {
    const script = fileURLToPath(new URL('./worker.js', import.meta.url))
    const env = { ...process.env, ...this.env }
    const child = spawn(process.execPath, [script], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    this.child = child
    child.once('exit', (code) => {
      // What it had done and the hub had not confirmed may be done again.
      if (code !== 0) this.died.add(child.pid as number)
      if (!this.ended && this.child === child) void this.start()
    })
    await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data'), once(child, 'exit')])
  }

  cut(): void {
    this.child?.kill('SIGKILL')
  }

  close(): Promise<void> {
    return this.stop('SIGTERM')
  }

  kill(): Promise<void> {
    return this.stop('SIGKILL')
  }

  private async stop(signal: NodeJS.Signals): Promise<void> {
    this.ended = true
    const { child } = this
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    child.kill(signal)
    await once(child, 'exit')
  }
}

export function notesIn(file: string): Note[] {
  if (!existsSync(file)) return []
  const lines = readFileSync(file, 'utf8').split('\n')
  // One that was killed while it wrote has written a part.
  return lines.filter((line) => line.endsWith('}')).map((line) => JSON.parse(line) as Note)
}
