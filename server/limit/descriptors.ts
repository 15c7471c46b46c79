import { closeSync, openSync, readFileSync } from 'node:fs'

/** File descriptors kept free for files, for the broker, and for whatever else the program opens. */
const RESERVE = 32
/** Tells how many file descriptors the process has left. */
export class Descriptors {
  private readonly limit = softLimit()

  /**
   * Whether only the reserve is left. The system assigns the lowest free number, so a new descriptor shows how many are in use
   * without counting them. It takes a few microseconds; the result is not cached, because many connections may arrive at once.
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
