/** Beyond a bound, for a busy machine. */
const SLACK_MS = 20_000

interface Pending {
  readonly what: string
  /** When it has to be settled; undefined while the hub may be away for any time. */
  readonly dueAt: number | undefined
}

/** What the driver was promised: each promise has to settle within its bound, and what refuses it has to be documented. */
export class Promises {
  readonly faults: string[] = []
  /** How they settled: `resolved`, or the code of what refused them. */
  readonly ends: Record<string, number> = {}
  private readonly pending = new Set<Pending>()

  /**
   * @param codes - what may refuse it; without it anything of the error table
   * @param boundMs - of what has one even if the hub is away
   */
  track<Value>(what: string, promise: PromiseLike<Value>, codes?: readonly string[], boundMs?: number): Promise<void> {
    const entry = { what, dueAt: boundMs === undefined ? undefined : performance.now() + boundMs + SLACK_MS }
    this.pending.add(entry)
    const settle = (end: string) => {
      this.ends[end] = (this.ends[end] ?? 0) + 1
      this.pending.delete(entry)
    }
    return Promise.resolve(promise).then(
      () => settle('resolved'),
      (error: unknown) => {
        const code = codeOf(error)
        settle(code ?? 'not of the table')
        if (code === undefined || (codes && !codes.includes(code))) this.faults.push(`${what}: ${wordsOf(error)}`)
      },
    )
  }

  /** Notes what is pending past its bound. */
  check(): void {
    const now = performance.now()
    for (const entry of this.pending) {
      if (entry.dueAt === undefined || entry.dueAt > now) continue
      this.pending.delete(entry)
      this.faults.push(`${entry.what} is pending past its bound`)
    }
  }

  /** Resolves when nothing is pending, and notes what is after this time. */
  async drain(mostMs: number): Promise<void> {
    const until = performance.now() + mostMs
    while (this.pending.size > 0 && performance.now() < until) await pause(20)
    for (const { what } of this.pending) this.faults.push(`${what} is pending although the hub is back`)
    this.pending.clear()
  }
}

/** Of an error of the table, and `aborted` for the driver's own signals. */
export function codeOf(error: unknown): string | undefined {
  const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown }
  if (name === 'AbortError') return 'aborted'
  return name === 'FanfareError' && typeof code === 'string' ? code : undefined
}

export function wordsOf(error: unknown): string {
  return error instanceof Error ? `${codeOf(error) ?? ''} ${error.stack}` : String(error)
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
