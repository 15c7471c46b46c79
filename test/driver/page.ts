import type { Connect } from './actor.ts'
import { drive } from './drive.ts'
import type { Host } from './host.ts'

/** What Node gives the page. */
interface Given {
  readonly host: (method: keyof Host) => Promise<string | undefined>
}

const { host } = globalThis as unknown as Given
const uncaught: unknown[] = []
addEventListener('error', ({ error, message }) => uncaught.push(error ?? message))
addEventListener('unhandledrejection', ({ reason }) => uncaught.push(reason))

Object.assign(globalThis, {
  /** `source`: the client's bundle. */
  async drive(source: string, url: string, seed: number, steps: number) {
    const bundle = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }))
    const { connect } = (await import(/* @vite-ignore */ bundle)) as { connect: Connect }
    const surroundings: Host = {
      fault: () => host('fault') as Promise<string>,
      token: () => host('token'),
      calm: () => host('calm') as unknown as Promise<void>,
    }
    const report = await drive(connect, url, surroundings, seed, steps)
    return { report, uncaught: uncaught.map((error) => (error instanceof Error ? error.stack : String(error))) }
  },
})
