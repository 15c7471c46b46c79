import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

export interface WorkerLimits {
  readonly min: number
  readonly max: number
  /** How long demand must stay lower before workers are stopped. */
  readonly cooldownMs: number
}

/** How long a worker may take to finish before it is killed, in milliseconds. */
const STOP_MS = 10_000
/** A worker that ends sooner than this counts as failed. The next one waits, twice as long each time up to the maximum. */
const FAILED_WITHIN_MS = 5_000
const RESTART_MS = [200, 10_000] as const

/** The system's error codes for a command that can never be started. */
const NEVER_STARTS = ['ENOENT', 'EACCES', 'ENOEXEC', 'ENOTDIR']

/** The command of the workers cannot be run. */
export class CannotRun extends Error {}

/** Worker processes of one command, as many as are wanted. */
export class Workers {
  /** Rejects with `CannotRun` if the command cannot be run. */
  readonly failed: Promise<never>
  private fail: (error: CannotRun) => void = () => {}
  private readonly command: readonly string[]
  private readonly env: Readonly<Record<string, string>>
  private readonly limits: WorkerLimits
  private readonly say: (text: string) => void
  private readonly running = new Set<ChildProcess>()
  private readonly ending = new Set<ChildProcess>()
  private target = 0
  /** When fewer workers were first wanted. */
  private fewerSince: number | undefined
  private failures = 0
  private restart: NodeJS.Timeout | undefined
  private stopped = false
  private couldStart = false

  constructor(
    command: readonly string[],
    env: Readonly<Record<string, string>>,
    limits: WorkerLimits,
    say: (text: string) => void,
  ) {
    this.command = command
    this.env = env
    this.limits = limits
    this.say = say
    this.failed = new Promise((_, reject) => {
      this.fail = reject
    })
    // Nothing may be awaiting it yet.
    this.failed.catch(() => {})
  }

  /** Starts additional workers at once; stops surplus ones only when fewer have been wanted for a while. */
  want(count: number, why: string): void {
    const { min, max, cooldownMs } = this.limits
    const target = Math.max(min, Math.min(max, count))
    if (target >= this.target) this.fewerSince = undefined
    else this.fewerSince ??= Date.now()
    const keep = target < this.target && Date.now() - (this.fewerSince ?? 0) < cooldownMs
    if (this.stopped || keep || target === this.target) return
    this.say(`${this.target} → ${target} workers: ${why}.`)
    this.target = target
    this.fewerSince = undefined
    this.adjust()
  }

  /** Stops all workers, and resolves when they have ended. */
  async stop(): Promise<void> {
    this.stopped = true
    clearTimeout(this.restart)
    this.target = 0
    this.adjust()
    await Promise.all([...this.ending].map((child) => once(child, 'exit')))
  }

  private adjust(): void {
    while (this.running.size > this.target) this.end([...this.running].at(-1) as ChildProcess)
    if (this.restart) return
    while (this.running.size < this.target) this.start()
  }

  private start(): void {
    const [file, ...args] = this.command
    const child = spawn(file as string, args, { stdio: 'inherit', env: { ...process.env, ...this.env } })
    const since = Date.now()
    this.running.add(child)
    child.once('spawn', () => {
      this.couldStart = true
    })
    child.once('error', (error: NodeJS.ErrnoException) => this.notStarted(child, since, error))
    child.once('exit', (code, signal) => this.ended(child, since, signal ?? `exit code ${code}`))
  }

  private notStarted(child: ChildProcess, since: number, { code = '', message }: NodeJS.ErrnoException): void {
    // The command could be run before; its file may be in the middle of a replacement.
    if (this.couldStart || !NEVER_STARTS.includes(code)) return this.ended(child, since, message)
    this.running.delete(child)
    this.stopped = true
    this.fail(new CannotRun(`The worker command "${this.command[0]}" cannot be run: ${message}.`))
  }

  private end(child: ChildProcess): void {
    this.running.delete(child)
    this.ending.add(child)
    child.kill('SIGTERM')
    const kill = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
    child.once('exit', () => {
      clearTimeout(kill)
      this.ending.delete(child)
    })
  }

  /** A worker that ended without being asked to is replaced. */
  private ended(child: ChildProcess, since: number, why: string): void {
    if (!this.running.delete(child)) return
    this.failures = Date.now() - since < FAILED_WITHIN_MS ? this.failures + 1 : 0
    this.say(`A worker ended: ${why}.`)
    if (this.failures === 0) return this.adjust()
    if (this.restart || this.stopped) return
    const [base, cap] = RESTART_MS
    this.restart = setTimeout(
      () => {
        this.restart = undefined
        this.adjust()
      },
      Math.min(cap, base * 2 ** this.failures),
    )
  }
}
