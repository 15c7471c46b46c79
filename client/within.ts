import type { Clock } from '../shared/clock.ts'

/** Waits until it is done, has failed, or has taken this long. */
export function within(clock: Clock, ms: number, done: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.setTimeout(resolve, ms)
    const over = () => {
      clock.clearTimeout(timer)
      resolve()
    }
    done.then(over, over)
  })
}
