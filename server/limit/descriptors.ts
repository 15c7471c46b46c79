import { closeSync, openSync, readFileSync } from 'node:fs'

/** File descriptors that connections leave for files, for the broker and for what the program opens besides. */
const RESERVE = 32
/** How many file descriptors the process has left. */
export class Descriptors {
  private readonly limit = softLimit()

  /**
   * Whether only the reserve is left. The system gives out the lowest number that is free: the next one shows how many are in use,
   * without counting them. It takes some microseconds, and is not remembered: many connections may come at once.
   */
  get short(): boolean {
    try {
      const next = openSync('/dev/null', 'r')
      closeSync(next)
      return next >= this.limit - RESERVE
    } catch (error) {
      return ['EMFILE', 'ENFILE'].includes((error as NodeJS.ErrnoException).code ?? '')
    }
  }
}

/** The soft limit (`ulimit -n`). If the system does not report it, only a failed open is noticed. */
function softLimit(): number {
  try {
    return Number(
      /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? Number.POSITIVE_INFINITY,
    )
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
