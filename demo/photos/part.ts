import { type Client, connect, FanfareError } from 'fanfare/client'
import type { Service, Topics, WorkerState } from './contract.ts'

/** What every part of the demo needs: the environment configures it, and it reaches the others only through the hub. */
export interface Part {
  readonly client: Client<Topics>
  /** Its name among all workers. */
  readonly worker: string
  /** The folder of all photos. */
  readonly photos: string
  /** Calls this when the part is asked to end, before its connection is closed; the last registered is called first. */
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
  // Ctrl-C in a terminal reaches every process at once. The stage receives it, too, and ends its parts in order.
  process.on('SIGINT', () => {})
  // The stage has vanished: nothing else would end this process.
  process.once('disconnect', () => process.exit(1))
  return { client, worker, photos: setting('PHOTOS_DIR'), onStop: (stop) => stops.push(stop) }
}

/** What a worker works on. */
export interface Work {
  readonly photo: string
  readonly attempt?: number
  readonly lastError?: string | undefined
}

/** Publishes what this worker does, or that it is idle, for the page. */
export function reporter({ client, worker }: Part, service: Service): (work?: Work) => void {
  return (work) => {
    const state = { worker, service, pid: process.pid, state: work ? 'working' : 'idle', ...work } as WorkerState
    client.publish('stage.workers', state, { key: worker }).catch(unlessClosed)
  }
}

/** Whatever the part had not published when it ended no longer matters. */
export function unlessClosed(error: unknown): void {
  if (!(error instanceof FanfareError && error.code === 'client_closed')) throw error
}

function setting(name: string): string {
  const value = process.env[name]
  if (value !== undefined) return value
  console.error(`${name} is not set: demo/photos/main.ts starts this part. Run: npm run demo`)
  process.exit(1)
}
