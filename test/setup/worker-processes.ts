import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const WORKER = fileURLToPath(new URL('../faults/queue-worker.js', import.meta.url))

/** Consumers of one queue, each a process of its own. */
export class WorkerProcesses {
  private readonly env: Record<string, string>
  private readonly running: ChildProcess[] = []

  constructor(url: string, queue: string) {
    this.env = { FANFARE_URL: url, FANFARE_QUEUE: queue }
  }

  /** Starts one, and resolves when it consumes. */
  async start(): Promise<void> {
    const child = spawn(process.execPath, [WORKER], {
      env: { ...process.env, ...this.env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.running.push(child)
    await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data'), once(child, 'exit')])
  }

  /** Kills one as a crash does; a successor takes its place. */
  async replace(at: number): Promise<void> {
    await this.kill(this.running.splice(at, 1))
    await this.start()
  }

  async killAll(): Promise<void> {
    await this.kill(this.running.splice(0))
  }

  private async kill(children: readonly ChildProcess[]): Promise<void> {
    const alive = children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)
    await Promise.all(
      alive.map((child) => {
        child.kill('SIGKILL')
        return once(child, 'exit')
      }),
    )
  }
}
