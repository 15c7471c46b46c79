import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'

/** Resolution of the event loop delay, in milliseconds. */
const RESOLUTION_MS = 10

/** CPU usage and event loop delay of the process in the last second. */
export class ProcessUsage {
  /** As a part of one core. */
  cpu = 0
  /** The 99th percentile. */
  eventLoopDelayMs = 0
  // A private field, so that printing a hub does not reach it: in Node 20, reading the getters of its prototype is a segmentation
  // fault.
  readonly #delays: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  private before = process.cpuUsage()

  start(): void {
    this.#delays.enable()
  }

  stop(): void {
    this.#delays.disable()
  }

  /** Call once every `seconds`. */
  sample(seconds: number): void {
    const { user, system } = process.cpuUsage(this.before)
    this.before = process.cpuUsage()
    this.cpu = (user + system) / 1e6 / seconds
    // The histogram measures the time from one tick to the next.
    this.eventLoopDelayMs = Math.max(0, this.#delays.percentile(99) / 1e6 - RESOLUTION_MS)
    this.#delays.reset()
  }
}
