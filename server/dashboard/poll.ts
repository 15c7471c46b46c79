import { FORBIDDEN_MS, isForbidden, isGone, isNoAnswer } from './answer.ts'
import { client } from './hub.ts'
import { errorText } from './notices.ts'
import { heard } from './rights.ts'
import { dataChanged, invalidate } from './schedule.ts'

const INTERVAL_MS = 1000

export interface Polled<Result> {
  readonly value: Result | undefined
  /** The error that the hub returned instead of an answer. */
  readonly error: string | undefined
  /** The hub reported that the thing does not exist, or no longer exists. */
  readonly gone: boolean
  /** Asks now. */
  again(): void
  stop(): void
}

/** Calls a method of the hub again and again, a while after each answer, as long as the page is visible. */
export function poll<Result>(method: string, params: object, intervalMs = INTERVAL_MS): Polled<Result> {
  const abort = new AbortController()
  let timer: ReturnType<typeof setTimeout> | undefined
  let round = 0
  let forbidden = false
  const polled = {
    value: undefined as Result | undefined,
    error: undefined as string | undefined,
    gone: false,
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
      polled.gone = forbidden = false
      heard(polled)
      dataChanged()
    } catch (error) {
      if (abort.signal.aborted || mine !== round) return
      if (!isNoAnswer(error)) {
        polled.error = errorText(error)
        polled.gone = isGone(error)
        forbidden = isForbidden(error)
        heard(polled, error)
        invalidate()
      }
    }
    timer = setTimeout(next, forbidden ? FORBIDDEN_MS : intervalMs)
  }
  // A page in the background does not ask; it asks when it becomes visible.
  const next = () => {
    if (document.hidden) document.addEventListener('visibilitychange', next, { once: true, signal: abort.signal })
    else void ask()
  }
  // Another connection may have other permissions.
  const offState = client.onState(({ to }) => {
    if (to === 'connected' && forbidden) void ask()
  })
  function stop() {
    abort.abort()
    offState()
    heard(polled)
    round++
    clearTimeout(timer)
  }
  polled.again = () => void ask()
  void ask()
  return polled
}
