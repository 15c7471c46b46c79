import { closeSync, openSync, readFileSync } from 'node:fs'

/** File descriptors that connections leave for files, for the broker and for what the program opens besides. */
const RESERVE = 32
/** How long an answer holds, in milliseconds: many connections may come at once. */
const FRESH_MS = 5

/** How many file descriptors the process has left. */
export class Descriptors {
  private readonly limit = softLimit()
  private checkedAt = Number.NEGATIVE_INFINITY
  private wasShort = false

  /** Whether only the reserve is left, as of the last milliseconds. */
  get short(): boolean {
    return performance.now() - this.checkedAt < FRESH_MS ? this.wasShort : this.shortNow()
  }

  /** The system gives out the lowest number that is free: the next one says how many are in use, without counting them. */
  shortNow(): boolean {
    this.checkedAt = performance.now()
    this.wasShort = false
    try {
      const next = openSync('/dev/null', 'r')
      closeSync(next)
      this.wasShort = next >= this.limit - RESERVE
    } catch (error) {
      this.wasShort = ['EMFILE', 'ENFILE'].includes((error as NodeJS.ErrnoException).code ?? '')
    }
    return this.wasShort
  }
}

/** What `ulimit -n` says. Where the system does not tell, only a descriptor that cannot be had is noticed. */
function softLimit(): number {
  try {
    return Number(
      /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? Number.POSITIVE_INFINITY,
    )
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
