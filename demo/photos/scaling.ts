import type { Client } from 'fanfare/client'
import { MAX_WORKERS, type Topics } from './contract.ts'
import type { Fleet } from './fleet.ts'
import { unlessClosed } from './part.ts'

/** How long fewer workers must be wanted before some are ended, in milliseconds. */
const COOLDOWN_MS = 5_000

/** Keeps the requested number of thumbnail workers, or as many as the hub wants. */
export class Scaling {
  workers: number | 'auto' = 'auto'
  private readonly client: Client<Topics>
  private readonly fleet: Fleet
  private fewerSince: number | undefined
  private published = ''

  constructor(client: Client<Topics>, fleet: Fleet) {
    this.client = client
    this.fleet = fleet
    client.subscribe('$sys.queues.thumbnails', ({ data }) => {
      if (this.workers === 'auto') this.follow(Math.max(1, Math.min(MAX_WORKERS, data.wantedConsumers)))
      this.publish()
    })
  }

  /** Returns those that were started for it. */
  set(workers: number | 'auto'): readonly string[] {
    this.workers = workers
    this.fewerSince = undefined
    const count = workers === 'auto' ? Math.max(1, this.fleet.wants('thumbnails')) : workers
    const started = this.fleet.keep('thumbnails', count)
    this.publish()
    return started
  }

  /** Starts more at once; ends some only when fewer have been wanted for a while. */
  private follow(wanted: number): void {
    const now = this.fleet.wants('thumbnails')
    if (wanted >= now) this.fewerSince = undefined
    else this.fewerSince ??= Date.now()
    if (wanted < now && Date.now() - (this.fewerSince ?? 0) < COOLDOWN_MS) return
    this.fewerSince = undefined
    if (wanted !== now) this.fleet.keep('thumbnails', wanted)
  }

  private publish(): void {
    const running = this.fleet.running('thumbnails').length
    const scaling = { workers: this.workers, running, max: MAX_WORKERS }
    if (JSON.stringify(scaling) === this.published) return
    this.published = JSON.stringify(scaling)
    this.client.publish('stage.scaling', scaling).catch(unlessClosed)
  }
}
