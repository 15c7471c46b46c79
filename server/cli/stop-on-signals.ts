import type { Logger } from 'pino'
import type { Hub } from '../index.ts'

/** How long a starting hub may continue after it is asked to stop, in milliseconds. */
const START_GRACE_MS = 5_000

/**
 * The first signal starts the drain. Further signals do not cut it short: under npm, Ctrl-C reaches a hub twice, once from the
 * terminal and once from npm. SIGKILL ends it at once.
 */
export function stopOnSignals(starting: Promise<Hub>, log: Logger): void {
  let stopping = false
  const stop = (signal: NodeJS.Signals) => {
    log.info({ signal }, stopping ? 'still stopping' : 'stopping')
    if (stopping) return
    stopping = true
    // No client has been admitted yet, and the data on disk is safe.
    const late = setTimeout(() => process.exit(0), START_GRACE_MS)
    const close = async (hub: Hub) => {
      clearTimeout(late)
      await hub.close()
      process.exit(0)
    }
    const failed = (error: unknown) => {
      log.error({ err: error }, 'the hub could not shut down cleanly')
      process.exit(1)
    }
    // A hub that fails to start ends by itself and reports why.
    starting.then(
      (hub) => void close(hub).catch(failed),
      () => clearTimeout(late),
    )
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, stop)
}
