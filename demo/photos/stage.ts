import { type Client, connect } from 'fanfare/client'
import {
  MAX_SPIKE,
  MAX_WORKERS,
  type Photo,
  type Requests,
  SERVICES,
  type Service,
  type Topics,
  type WorkerState,
} from './contract.ts'
import { Fleet } from './fleet.ts'
import { unlessClosed } from './part.ts'
import { mend, tick, uploadCorrupt, uploadMany } from './play.ts'
import { Scaling } from './scaling.ts'

/** How long ended workers are still shown, in milliseconds. */
const SHOW_ENDED_MS = 30_000
const LIMITS = { slowMs: 60_000, ticksPerSecond: 20_000, ticksSeconds: 60 }

/** The edge responds to `stage.cut`, since it has the connections. */
type Answers = {
  readonly [Topic in Exclude<keyof Requests, 'stage.cut'>]: (
    ask: Requests[Topic]['ask'],
  ) => Requests[Topic]['reply'] | Promise<Requests[Topic]['reply']>
}

export interface StageOptions {
  readonly hub: string
  /** Folder of the photos. */
  readonly photos: string
  /** Port of the page; 0 for a free one. */
  readonly port: number
}

/** Starts the parts, and does what the page asks for. */
export class Stage {
  private readonly photos: string
  private readonly client: Client<Topics>
  /** A client of its own, so that thousands of ticks do not delay anything else. */
  private readonly ticker: Client<Topics>
  private readonly fleet: Fleet
  private readonly scaling: Scaling
  private readonly workers = new Map<string, WorkerState>()
  private readonly over = new AbortController()
  private ticking = new AbortController()
  private corrupt: Photo[] = []
  private edge = ''
  private changed: () => void = () => {}

  constructor({ hub, photos, port }: StageOptions) {
    this.photos = photos
    this.client = connect<Topics>(hub, { name: 'photos/stage' })
    this.ticker = connect<Topics>(hub, { name: 'photos/ticker' })
    const env = { PHOTOS_HUB: hub, PHOTOS_DIR: photos, PHOTOS_PORT: `${port}` }
    this.fleet = new Fleet(env, (state) => this.say(state))
    this.scaling = new Scaling(this.client, this.fleet)
  }

  /** Resolves to the address of the page when every part is ready; rejects in plain words if one is not. */
  async start(): Promise<string> {
    const { client, fleet } = this
    // What was true of the parts of an earlier run.
    await client.admin.streams.trim('stage')
    const heard = client.subscribe('stage.workers', ({ data }) => {
      this.workers.set(data.worker, data)
      if (data.state === 'dead' || data.state === 'stopped') this.workers.delete(data.worker)
      this.changed()
    })
    const addresses = client.subscribe('stage.addresses', ({ data }) => {
      if (data.part === 'edge') this.edge = data.url
      this.changed()
    })
    const slowness = client.publish('stage.slowness', { ms: 0 })
    await Promise.all([heard.ready, addresses.ready, slowness, this.answer()])
    const started = [
      ...fleet.keep('edge', 1),
      ...(['upload', 'notifications', 'analytics'] as const).flatMap((service) => fleet.keep(service, 1)),
      ...this.scaling.set('auto'),
    ]
    await Promise.all(started.map((worker) => this.ready(worker)))
    return this.edge
  }

  /** Ends every part, and resolves when all have ended. */
  async stop(): Promise<void> {
    this.over.abort()
    await this.fleet.stop()
    await Promise.all([this.client.close(), this.ticker.close()])
  }

  private async answer(): Promise<void> {
    const answers: Answers = {
      'stage.spike': ({ count }) => {
        const pictures = whole(count, 1, MAX_SPIKE)
        uploadMany(this.edge, pictures, this.over.signal).catch((error) => this.log('The spike ended early', error))
        return { count: pictures }
      },
      'stage.corrupt': async () => {
        const photo = await uploadCorrupt(this.edge, this.over.signal)
        this.corrupt.push(photo)
        return { name: photo.name, photo: photo.id }
      },
      'stage.mend': async ({ photo }) => {
        const isMeant = ({ id }: Photo) => photo === undefined || id === photo
        const mended = await mend(this.client, this.photos, this.corrupt, isMeant)
        this.corrupt = this.corrupt.filter((each) => !isMeant(each))
        return { mended }
      },
      'stage.scale': async ({ workers }) => {
        const started = this.scaling.set(workers === 'auto' ? workers : whole(workers, 0, MAX_WORKERS))
        await Promise.all(started.map((worker) => this.ready(worker)))
        return { workers: this.scaling.workers }
      },
      'stage.kill': ({ worker }) => this.kill(worker),
      'stage.start': async ({ service }) => {
        const started = service === 'thumbnails' ? this.scaling.set('auto') : this.fleet.keep(known(service), 1)
        await Promise.all(started.map((worker) => this.ready(worker)))
        return { service }
      },
      'stage.stop': ({ service }) => {
        if (service === 'thumbnails') this.scaling.set(0)
        else this.fleet.keep(known(service), 0)
        return { service }
      },
      'stage.slow': async ({ ms }) => {
        const slowness = { ms: whole(ms, 0, LIMITS.slowMs) }
        await this.client.publish('stage.slowness', slowness)
        return slowness
      },
      'stage.ticks.start': ({ perSecond, seconds }) => {
        const [rate, time] = [whole(perSecond, 1, LIMITS.ticksPerSecond), whole(seconds, 1, LIMITS.ticksSeconds)]
        this.ticking.abort()
        this.ticking = new AbortController()
        const signal = AbortSignal.any([this.ticking.signal, this.over.signal])
        tick(this.ticker, rate, time, signal).catch((error) => this.log('The ticks ended early', error))
        return { count: rate * time }
      },
    }
    const offers = Object.entries(answers).map(([topic, answer]) =>
      this.client.respond(topic, ({ data }) => (answer as (ask: unknown) => unknown)(data ?? {})),
    )
    await Promise.all(offers.map(({ ready }) => ready))
  }

  private async kill(asked: string | undefined): Promise<Requests['stage.kill']['reply']> {
    const thumbnails = [...this.workers.values()].filter(({ service }) => service === 'thumbnails')
    const busy = thumbnails.find(({ state }) => state === 'working') ?? thumbnails[0]
    const worker = asked ?? busy?.worker
    if (worker === undefined) throw new Error('No thumbnail worker is running')
    const photo = this.workers.get(worker)?.photo
    await this.fleet.kill(worker)
    return { worker, photo }
  }

  /** Resolves when the part is ready. */
  private async ready(worker: string): Promise<void> {
    const isReady = () => {
      const state = this.workers.get(worker)?.state
      return worker.startsWith('edge') ? this.edge !== '' : state === 'idle' || state === 'working'
    }
    const said = new Promise<void>((resolve) => {
      const before = this.changed
      this.changed = () => {
        before()
        if (isReady()) resolve()
      }
      this.changed()
    })
    await Promise.race([said, this.fleet.ended(worker)])
  }

  private say(state: WorkerState): void {
    const { worker, state: now } = state
    if (now === 'dead') console.log(`${worker} is dead`)
    const isOver = now === 'dead' || now === 'stopped'
    const options = { key: worker, ...(isOver && { expiresAt: Date.now() + SHOW_ENDED_MS }) }
    this.client.publish('stage.workers', state, options).catch(unlessClosed)
  }

  private log(what: string, error: Error): void {
    if (!this.over.signal.aborted) console.error(`${what}: ${error.message}`)
  }
}

function whole(value: unknown, min: number, max: number): number {
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return value as number
  throw new Error(`${JSON.stringify(value)} is not an integer from ${min} to ${max}`)
}

function known(service: unknown): Service {
  if (SERVICES.includes(service as Service)) return service as Service
  throw new Error(`There is no service ${JSON.stringify(service)}, only ${SERVICES.join(', ')}`)
}
