import type { Clock, Timer } from '../shared/clock.ts'

/** One timer: setting it again replaces what it was set to. */
export class Alarm {
  readonly #clock: Clock
  #timer: Timer | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get isSet(): boolean {
    return this.#timer !== undefined
  }

  set(ms: number, task: () => void): void {
    this.clear()
    this.#timer = this.#clock.setTimeout(() => {
      this.#timer = undefined
      task()
    }, ms)
  }

  clear(): void {
    this.#clock.clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
