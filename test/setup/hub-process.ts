import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { BUNDLE } from './hub-bundle.ts'

/** How a process ended, and its output on standard error. */
export interface End {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stderr: string
}

/** Where else than on this machine's own network a hub runs. */
export interface NetworkPlace {
  /** Where clients reach it. */
  readonly host: string
  /** What runs a command there. */
  readonly run: readonly string[]
}

/** A hub as its operator runs it: `fanfare serve` in a process of its own, which starts in half of the CPU time. */
export class HubProcess {
  readonly ended: Promise<End>
  port = 0
  private readonly child: ChildProcess
  private readonly lines: string[] = []

  private readonly host: string

  private constructor(args: readonly string[], nodeArgs: readonly string[], place?: NetworkPlace) {
    const { host, run } = place ?? { host: '127.0.0.1', run: [] }
    this.host = host
    const [command = process.execPath, ...rest] = [...run, process.execPath]
    const hubArgs = [...nodeArgs, BUNDLE, 'serve', '--host', place ? '0.0.0.0' : host, ...args]
    this.child = spawn(command, [...rest, ...hubArgs], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.ended = once(this.child, 'close').then(([code, signal]) => ({ code, signal, stderr: this.lines.join('\n') }))
  }

  /** Starts one, and resolves when it listens. Rejects with its last output if it ends before. */
  static async start(
    options: Record<string, string | number>,
    nodeArgs: readonly string[] = [],
    place?: NetworkPlace,
  ): Promise<HubProcess> {
    const args = Object.entries({ port: 0, engine: 'ws', ...options }).flatMap(([name, value]) => [
      `--${name}`,
      `${value}`,
    ])
    const hub = new HubProcess(args, nodeArgs, place)
    await hub.listening()
    return hub
  }

  /** Starts one that is expected to refuse. */
  static refusal(options: Record<string, string | number>): Promise<End> {
    return HubProcess.start(options).then(
      async (hub) => {
        await hub.kill()
        throw new Error('The hub has started')
      },
      (error: unknown) => {
        if (error instanceof EndedEarly) return error.end
        throw error
      },
    )
  }

  get pid(): number {
    return this.child.pid as number
  }

  get url(): string {
    return `ws://${this.host}:${this.port}/`
  }

  /** What it has logged so far, a line each. */
  get log(): readonly string[] {
    return this.lines
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name)
  }

  /** Ends it, by default as a crash does. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<End> {
    this.child.kill(signal)
    return this.ended
  }

  private listening(): Promise<void> {
    return new Promise((resolve, reject) => {
      createInterface({ input: this.child.stderr as NodeJS.ReadableStream }).on('line', (line) => {
        this.lines.push(line)
        const listening = /"port":(\d+).*"msg":"listening"/.exec(line)
        if (!listening) return
        this.port = Number(listening[1])
        resolve()
      })
      void this.ended.then((end) => reject(new EndedEarly(end)))
    })
  }
}

/** It ended before it listened. */
export class EndedEarly extends Error {
  readonly end: End

  constructor(end: End) {
    super(`The hub ended before it listened: ${end.stderr}`)
    this.end = end
  }
}

/** Writes a configuration that declares streams and queues, and gives its path. */
export async function configFile(
  path: string,
  streams: readonly object[],
  queues: readonly object[] = [],
): Promise<string> {
  await writeFile(path, JSON.stringify({ streams, queues }))
  return path
}
