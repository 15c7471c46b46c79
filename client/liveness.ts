import type { Clock, Timer } from '../shared/clock.ts'
import { Alarm } from './alarm.ts'

/** How often the link is looked at, in milliseconds; more often if the ping interval is short. */
const LOOK_MS = 2_000
const LOOKS_PER_INTERVAL = 8
/** A timer that is this late, in milliseconds, means that the machine or the program was suspended. */
const LATE_MS = 1_000
/** Longest wait for a pong, in milliseconds: after silence, and after a sign that the connection may be dead. */
const ANSWER_MS = 10_000
const DOUBT_ANSWER_MS = 3_000

interface LinkToWatch {
  ping(): void
  /** The hub has not answered. */
  dead(): void
}

/**
 * Notices that the hub is gone. A browser shows neither the hub's pings nor a dead connection: silence is met with a ping, and
 * silence after that ends the connection. A machine that wakes up has often lost its connections, so that a ping goes out at once.
 */
export class Liveness {
  readonly #clock: Clock
  readonly #link: LinkToWatch
  #looks: Timer | undefined
  #intervalMs = 0
  #lookMs = 0
  #lookedAt = 0
  #silentMs = 0
  /** Runs while a ping has no answer. */
  readonly #answer: Alarm

  constructor(clock: Clock, link: LinkToWatch) {
    this.#clock = clock
    this.#link = link
    this.#answer = new Alarm(clock)
  }

  /** Watches a new connection. */
  start(intervalMs: number): void {
    this.stop()
    this.#intervalMs = Math.max(1, intervalMs)
    this.#lookMs = Math.min(LOOK_MS, this.#intervalMs / LOOKS_PER_INTERVAL)
    this.#lookedAt = this.#clock.now()
    this.#silentMs = 0
    this.#looks = this.#clock.setInterval(() => this.#look(), this.#lookMs)
  }

  stop(): void {
    this.#clock.clearInterval(this.#looks)
    this.#looks = undefined
    this.#answer.clear()
  }

  /** Something has come from the hub. */
  heard(): void {
    this.#silentMs = 0
    if (this.#answer.isSet) this.#answer.clear()
  }

  /** There is a reason for doubt: the hub has to answer soon. */
  doubt(): void {
    if (this.#looks === undefined) return
    this.#ask(Math.min(this.#intervalMs, DOUBT_ANSWER_MS))
  }

  #look(): void {
    const now = this.#clock.now()
    const late = Math.abs(now - this.#lookedAt - this.#lookMs) > LATE_MS
    this.#lookedAt = now
    this.#silentMs += this.#lookMs
    if (late) this.doubt()
    else if (this.#silentMs >= this.#intervalMs && !this.#answer.isSet) {
      this.#ask(Math.min(this.#intervalMs, ANSWER_MS))
    }
  }

  #ask(ms: number): void {
    const askedAt = this.#clock.now()
    this.#link.ping()
    this.#answer.set(ms, () => {
      // The program has slept, and has not yet read what came meanwhile.
      if (Math.abs(this.#clock.now() - askedAt - ms) > LATE_MS) this.doubt()
      else this.#link.dead()
    })
  }
}
