import { client } from './hub.ts'
import { errorText } from './notices.ts'
import { heard } from './rights.ts'
import { dataChanged, invalidate } from './schedule.ts'

const INTERVAL_MS = 1000

/** How long a page waits before it asks again for what the hub has forbidden, and logs each time, in milliseconds. */
export const FORBIDDEN_MS = 30_000

const NO_ANSWER: readonly unknown[] = ['connection_lost', 'request_timeout', 'client_closed']

/** The hub has not answered: what it said before stands, and the head of the page says that it is away. */
export function isNoAnswer(error: unknown): boolean {
  return NO_ANSWER.includes(codeOf(error))
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown }).code
}

export interface Polled<Result> {
  readonly value: Result | undefined
  /** What the hub said instead of the last answer. */
  readonly error: string | undefined
  /** Asks now. */
  again(): void
  stop(): void
}

/** Asks the hub for a method, again some time after each answer, as long as the page is visible. */
export function poll<Result>(method: string, params: object, intervalMs = INTERVAL_MS): Polled<Result> {
  const abort = new AbortController()
  let timer: ReturnType<typeof setTimeout> | undefined
  let round = 0
  const polled = {
    value: undefined as Result | undefined,
    error: undefined as string | undefined,
    again: () => {},
    stop,
  }
  const ask = async () => {
    const mine = ++round
    clearTimeout(timer)
    try {
      const value = (await client.call(method, params, { signal: abort.signal })) as Result
      if (mine !== round) return
      polled.value = value
      polled.error = undefined
      heard(polled)
      dataChanged()
    } catch (error) {
      if (abort.signal.aborted || mine !== round) return
      if (!isNoAnswer(error)) {
        polled.error = errorText(error)
        heard(polled, error)
        invalidate()
      }
    }
    timer = setTimeout(next, intervalMs)
  }
  // Nobody looks at a page in the background: it asks when it comes to the front.
  const next = () => {
    if (document.hidden) document.addEventListener('visibilitychange', next, { once: true, signal: abort.signal })
    else void ask()
  }
  function stop() {
    abort.abort()
    heard(polled)
    round++
    clearTimeout(timer)
  }
  polled.again = () => void ask()
  void ask()
  return polled
}
