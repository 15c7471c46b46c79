import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { type Hub, type HubOptions, startHub } from '../../server/index.ts'

/** The command `fanfare` as it was built. */
const MAIN = fileURLToPath(new URL('../../dist/server/main.js', import.meta.url))
const PACKAGE = fileURLToPath(new URL('../..', import.meta.url))

/** A real process of which every word is kept. It ends with the test at the latest. */
export class RunningCommand {
  stdout = ''
  stderr = ''
  readonly process: ChildProcessByStdio<Writable, Readable, Readable>
  /** The exit code, or the signal that ended it; once all output has been read. */
  readonly exit: Promise<number | string>
  private ended = false
  private wake: () => void = () => {}

  constructor(command: string, args: readonly string[], env: Record<string, string> = {}, cwd = PACKAGE) {
    const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('FANFARE_')))
    // A group of its own, so that what a shell started ends with it.
    this.process = spawn(command, args, {
      cwd,
      // Many hubs at once in one folder: whoever wants data on the disk says where.
      env: { ...clean, FANFARE_DATA: 'memory', ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    })
    this.process.stdout.on('data', (chunk) => this.heard('stdout', chunk))
    this.process.stderr.on('data', (chunk) => this.heard('stderr', chunk))
    this.process.stdin.on('error', () => {})
    this.exit = once(this.process, 'close').then(([code, signal]) => {
      this.ended = true
      this.wake()
      return code ?? signal
    })
    onTestFinished(async () => {
      this.signal('SIGKILL')
      await this.exit
    })
  }

  /** Resolves when the process has said this; rejects when it ends without. */
  async said(stream: 'stdout' | 'stderr', pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this[stream])
      if (found) return found
      if (this.ended) throw new Error(`It ended and never said ${pattern}: ${this.stdout}${this.stderr}`)
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
  }

  signal(name: NodeJS.Signals): void {
    if (!this.ended) process.kill(-(this.process.pid as number), name)
  }

  /** Standard output as JSON, a value for each line. */
  get lines(): unknown[] {
    return this.stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line))
  }

  private heard(stream: 'stdout' | 'stderr', chunk: Buffer): void {
    this[stream] += chunk.toString()
    this.wake()
  }
}

/** Runs `fanfare` with these arguments. */
export function fanfare(args: readonly string[], env?: Record<string, string>, main = MAIN): RunningCommand {
  return new RunningCommand(process.execPath, [main, ...args], env)
}

/** Runs a line of shell, in the folder of the package or another one. */
export function shell(line: string, env?: Record<string, string>, cwd?: string): RunningCommand {
  return new RunningCommand('/bin/sh', ['-c', line], env, cwd)
}

/** A hub in the process of the test, for commands that speak to one: unlike `serve` it is there at once. It ends with the test. */
export async function hubHere(options: HubOptions = {}): Promise<{ hub: Hub; port: number; url: string }> {
  const hub = await startHub({ port: 0, drainTimeout: 1000, ...options })
  onTestFinished(() => hub.close())
  return { hub, port: hub.port, url: `ws://127.0.0.1:${hub.port}` }
}

/** Starts `fanfare serve`, and resolves when it listens. It keeps nothing where no data directory is given. */
export async function serve(args: readonly string[] = [], env?: Record<string, string>) {
  const defaults = [['--port', '0'] as const, ['--data', 'memory'] as const]
  const missing = defaults.filter(([flag]) => !args.includes(flag)).flat()
  const command = fanfare(['serve', ...missing, ...args], env)
  const port = Number((await command.said('stderr', /"port":(\d+)/))[1])
  return { command, port, url: `ws://127.0.0.1:${port}` }
}
