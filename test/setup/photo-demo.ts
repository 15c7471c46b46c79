import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { type Client, connect, type Message } from '../../client/node.ts'
import type { Topics } from '../../demo/photos/contract.ts'

const PACKAGE = fileURLToPath(new URL('../..', import.meta.url))

const AS_NPM_STARTS_IT = ['--import', 'tsx', 'demo/photos/main.ts']

/** The photo demo once its page is built, by default as `npm run demo` starts it: a group of processes. */
export class PhotoDemo {
  /** The photo demo with a browser, and what its tabs did that they should not do. */
  url = ''
  /** The data directory. */
  data = ''
  readonly ended: Promise<number | string>
  output = ''
  private readonly child: ChildProcess

  private constructor(port: number, start: readonly string[]) {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('FANFARE_')))
    this.child = spawn(process.execPath, [...start, '--port', `${port}`], {
      cwd: PACKAGE,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    this.ended = once(this.child, 'close').then(([code, signal]) => code ?? signal)
  }

  /** Resolves when the page is served, or when the demo has ended: then `url` is empty. */
  static async start(port = 0, start = AS_NPM_STARTS_IT): Promise<PhotoDemo> {
    const demo = new PhotoDemo(port, start)
    await Promise.race([demo.said(), demo.ended])
    return demo
  }

  /** A tab, as the edge lets it in. */
  tab(name: string): Client<Topics> {
    return connect<Topics>(`${this.url.replace('http', 'ws')}/hub?tab=${name}`, { backoff: { base: 50, cap: 200 } })
  }

  /** A tab in a context of its own: it shares only the hub with other tabs. `begin` runs in it before the page does. */
  processes(): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && groupOf(name) === this.child.pid)
      .map(Number)
  }

  /** The most memory that a part has had, in bytes. */
  peakMemory(part: string): number {
    const pid = this.processes().find((each) => readFileSync(`/proc/${each}/cmdline`, 'utf8').includes(`/${part}.ts`))
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
  }

  /** The addresses on which they listen, as Linux writes them. */
  listening(): string[] {
    const sockets = new Set(this.processes().flatMap(socketsOf))
    return ['tcp', 'tcp6'].flatMap((table) =>
      readFileSync(`/proc/net/${table}`, 'utf8')
        .split('\n')
        .map((line) => line.trim().split(/\s+/))
        .filter(([, , , state, , , , , , inode]) => state === '0A' && sockets.has(`socket:[${inode}]`))
        .map(([, address = '']) => address),
    )
  }

  /** To the one process that was started, as a service manager would. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | string> {
    this.child.kill(signal)
    return this.ended
  }

  /** Whatever is left of it. */
  kill(): void {
    if (this.processes().length > 0) process.kill(-(this.child.pid as number), 'SIGKILL')
  }

  private said(): Promise<void> {
    return new Promise((resolve) => {
      for (const stream of [this.child.stdout, this.child.stderr]) {
        createInterface({ input: stream as Readable }).on('line', (line) => {
          this.output += `${line}\n`
          const [, url] = /^Open (\S+)$/.exec(line) ?? []
          const [, data] = /^Data directory: (\S+)/.exec(line) ?? []
          if (url !== undefined) this.url = url
          if (data === undefined) return
          this.data = data
          resolve()
        })
      }
    })
  }
}

/** Everything that came on some topics, kept so that a test may ask late. */
export class Heard<Data> {
  readonly all: Message<Data>[] = []
  private wake: (() => void)[] = []

  readonly add = (message: Message<Data>): void => {
    this.all.push(message)
    for (const wake of this.wake.splice(0)) wake()
  }

  /** The first that is meant, when it comes. */
  async first(isMeant: (data: Data, topic: string) => boolean): Promise<Data> {
    for (;;) {
      const found = this.all.find(({ data, topic }) => isMeant(data, topic))
      if (found) return found.data
      await new Promise<void>((resolve) => this.wake.push(resolve))
    }
  }
}

function groupOf(pid: string): number {
  try {
    // Behind the name, which may have anything in it: state, parent, group.
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[2])
  } catch {
    return 0
  }
}

function socketsOf(pid: number): string[] {
  const folder = `/proc/${pid}/fd`
  return readdirSync(folder).flatMap((fd) => {
    try {
      return [readlinkSync(`${folder}/${fd}`)]
    } catch {
      return []
    }
  })
}
