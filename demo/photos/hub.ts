import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'

/** The hub's options: everything that the parts of the demo need. */
const CONFIG = {
  // Small, so that the policies for slow subscribers soon take effect.
  outboxBytes: 64 * 1024,
  frameBytes: 48 * 1024,
  streams: [
    { name: 'photos', topics: ['photos.#'] },
    {
      name: 'stage',
      topics: [
        'analytics.counters',
        'moderation.progress',
        'stage.workers',
        'stage.addresses',
        'stage.slowness',
        'stage.scaling',
      ],
      lastValue: true,
    },
    // Each recent step of the workers; the stream above keeps only the latest.
    { name: 'work', topics: ['stage.workers'], maxAge: '10m', maxMessages: 20_000 },
    // Its readers may fall behind, and then catch up from here.
    { name: 'ticks', topics: ['stage.ticks'], maxAge: '2m', maxMessages: 200_000 },
    // Nothing is kept of a tab that has been silent for a minute.
    { name: 'followers', topics: ['followers.*'], lastValue: true, maxAge: '1m' },
  ],
  queues: [
    {
      name: 'thumbnails',
      bindings: [{ topic: 'photos.uploaded' }],
      ackDeadline: '10s',
      maxAttempts: 3,
      // Short enough to watch.
      backoff: { base: '500ms', cap: '2s' },
    },
    { name: 'notifications', bindings: [{ topic: 'photos.thumbnailed' }] },
  ],
}

const WARNING = 40

export interface HubProcess {
  readonly child: ChildProcess
  /** Resolves when the hub is listening; rejects with the last line of its output. */
  readonly url: Promise<string>
}

/** Starts `fanfare serve`, as an operator would. */
export function startHubProcess(data: string): HubProcess {
  const config = join(data, 'fanfare.json')
  writeFileSync(config, JSON.stringify(CONFIG, undefined, 2))
  const flags = { config, host: '127.0.0.1', port: 0, path: '/', data: join(data, 'hub'), 'log-level': 'info' }
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, `${value}`])
  const child = spawn(process.execPath, [command(), 'serve', ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  const last: string[] = []
  const url = new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stderr as Readable }).on('line', (line) => {
      if (last.push(line) > 10) last.shift()
      const said = parse(line)
      if (said === undefined || said.level >= WARNING) console.error(`hub: ${line}`)
      if (said?.msg === 'listening' && said.port !== undefined) resolve(`ws://127.0.0.1:${said.port}/`)
    })
    child.once('close', () => reject(new Error(`The hub did not start: ${last.at(-1) ?? 'it printed nothing'}`)))
  })
  return { child, url }
}

/** The package's own command. */
function command(): string {
  const manifest = import.meta.resolve('fanfare/package.json')
  const { bin } = JSON.parse(readFileSync(fileURLToPath(manifest), 'utf8')) as { bin: { fanfare: string } }
  return fileURLToPath(new URL(bin.fanfare, manifest))
}

function parse(line: string): { level: number; msg?: string; port?: number } | undefined {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
