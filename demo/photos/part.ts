import { type Client, connect, FanfareError } from 'fanfare/client'
import type { Service, Topics, WorkerState } from './contract.ts'

/** What every part of the demo has: it is told by the environment, and reaches the others through the hub alone. */
export interface Part {
  readonly client: Client<Topics>
  /** Its name among all workers. */
  readonly worker: string
  /** The folder of all photos. */
  readonly photos: string
  /** Calls this when the part is told to end, before its connection is closed; the last that was given comes first. */
  onStop(stop: () => unknown): void
}

export function takePart(): Part {
  const worker = setting('PHOTOS_WORKER')
  const client = connect<Topics>(setting('PHOTOS_HUB'), { name: `photos/${worker}` })
  const stops: (() => unknown)[] = []
  process.once('SIGTERM', async () => {
    for (const stop of stops.reverse()) await stop()
    await client.close()
    process.exit(0)
  })
  // A terminal's Ctrl-C reaches every process at once. The stage hears it too, and ends its parts in order.
  process.on('SIGINT', () => {})
  // The stage is gone without a word: nobody else would end this process.
  process.once('disconnect', () => process.exit(1))
  return { client, worker, photos: setting('PHOTOS_DIR'), onStop: (stop) => stops.push(stop) }
}

/** What a worker works on. */
export interface Work {
  readonly photo: string
  readonly attempt?: number
  readonly lastError?: string | undefined
}

/** Says what this worker does, or that it waits, for those who watch. */
export function reporter({ client, worker }: Part, service: Service): (work?: Work) => void {
  return (work) => {
    const state = { worker, service, pid: process.pid, state: work ? 'working' : 'idle', ...work } as WorkerState
    client.publish('stage.workers', state, { key: worker }).catch(unlessClosed)
  }
}

/** What was still to be said when the part ended is of no use to anybody. */
export function unlessClosed(error: unknown): void {
  if (!(error instanceof FanfareError && error.code === 'client_closed')) throw error
}

function setting(name: string): string {
  const value = process.env[name]
  if (value !== undefined) return value
  console.error(`${name} is not set: this part is started by demo/photos/main.ts. Run: npm run demo`)
  process.exit(1)
}
