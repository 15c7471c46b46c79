import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'

export const PACKAGE = fileURLToPath(new URL('../..', import.meta.url))

/** A real process whose whole output is kept. */
export class OwnProcess {
  stdout = ''
  stderr = ''
  readonly process: ChildProcessByStdio<Writable, Readable, Readable>
  /** The exit code, or the signal that ended it; once all output has been read. */
  readonly exit: Promise<number | string>
  hasEnded = false
  private wake: () => void = () => {}

  constructor(command: string, args: readonly string[], env: Record<string, string> = {}, cwd = PACKAGE) {
    const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('FANFARE_')))
    // A group of its own, so that what a shell started ends with it.
    this.process = spawn(command, args, {
      cwd,
      // Many hubs share one folder: a test that wants data on disk says where.
      env: { ...clean, FANFARE_DATA: 'memory', ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    })
    this.process.stdout.on('data', (chunk) => this.heard('stdout', chunk))
    this.process.stderr.on('data', (chunk) => this.heard('stderr', chunk))
    this.process.stdin.on('error', () => {})
    this.exit = once(this.process, 'close').then(([code, signal]) => {
      this.hasEnded = true
      this.woken()
      return code ?? signal
    })
  }

  /** Resolves when the process has printed this; rejects if it ends without. */
  async said(stream: 'stdout' | 'stderr', pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this[stream])
      if (found) return found
      if (this.hasEnded) throw new Error(`It ended and never printed ${pattern}: ${this.stdout}${this.stderr}`)
      await this.more()
    }
  }

  /** Resolves with more output, or with the end of the process. */
  more(): Promise<void> {
    const before = this.wake
    return new Promise<void>((resolve) => {
      this.wake = () => {
        before()
        resolve()
      }
    })
  }

  signal(name: NodeJS.Signals): void {
    if (!this.hasEnded) process.kill(-(this.process.pid as number), name)
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
    this.woken()
  }

  private woken(): void {
    const wake = this.wake
    this.wake = () => {}
    wake()
  }
}
