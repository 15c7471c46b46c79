import { monitorEventLoopDelay } from 'node:perf_hooks'
import { startHub } from '../../server/index.ts'

/** A hub in a process of its own, which reports to its parent process how long its turns are. */
export interface NamesHubOptions {
  readonly engine: string
  readonly data: string
  readonly streams: readonly object[]
  readonly queues: readonly object[]
}

/** What it says: first where it listens and how long that took, then the longest turn since it was asked before. */
export interface NamesHubReport {
  readonly port: number
  readonly startSeconds: number
  readonly longestTurnMs: number
}

const RESOLUTION_MS = 1

process.once('message', async (options) => {
  const since = performance.now()
  const hub = await startHub(options as object)
  const startSeconds = (performance.now() - since) / 1000
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delay.enable()
  const report = () => {
    const longestTurnMs = delay.max / 1e6
    delay.reset()
    process.send?.({ port: hub.port, startSeconds, longestTurnMs } satisfies NamesHubReport)
  }
  report()
  process.on('message', report)
  process.once('disconnect', () => void hub.close().then(() => process.exit()))
})
