import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'

/** How often the event loop is asked to be on time, in milliseconds. */
const RESOLUTION_MS = 10

/** What the process took in the last second. */
export class ProcessUsage {
  /** Part of one core. */
  cpu = 0
  /** The 99th percentile. */
  eventLoopDelayMs = 0
  // Hidden from whoever prints a hub: in Node 20 to read the getters of its prototype is a segmentation fault.
  readonly #delays: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  private before = process.cpuUsage()

  start(): void {
    this.#delays.enable()
  }

  stop(): void {
    this.#delays.disable()
  }

  /** To be called once in `seconds`. */
  sample(seconds: number): void {
    const { user, system } = process.cpuUsage(this.before)
    this.before = process.cpuUsage()
    this.cpu = (user + system) / 1e6 / seconds
    // What is measured is the time from one to the next.
    this.eventLoopDelayMs = Math.max(0, this.#delays.percentile(99) / 1e6 - RESOLUTION_MS)
    this.#delays.reset()
  }
}
