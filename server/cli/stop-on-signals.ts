import type { Logger } from 'pino'
import type { Hub } from '../index.ts'

/** How long a hub that is asked to stop may continue to start, in milliseconds. */
const START_GRACE_MS = 5_000

/**
 * The first signal begins the drain. Others do not cut it short: Ctrl-C reaches a hub that npm started twice, once from the terminal and
 * once from npm. SIGKILL does.
 */
export function stopOnSignals(starting: Promise<Hub>, log: Logger): void {
  let stopping = false
  const stop = (signal: NodeJS.Signals) => {
    log.info({ signal }, stopping ? 'still stopping' : 'stopping')
    if (stopping) return
    stopping = true
    // No client has been let in by then, and what is on the disk is safe.
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
    // A hub that does not start ends by itself, and says why.
    starting.then(
      (hub) => void close(hub).catch(failed),
      () => clearTimeout(late),
    )
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, stop)
}
