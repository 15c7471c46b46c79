import type { Clock } from '../../shared/clock.ts'
import type { FanfareError } from '../../shared/errors.ts'
import type { ErrorFrame, Frame } from '../../shared/frames.ts'

/** Frames that are refused beyond a limit. Acks and frames that end something are counted and processed: refusing them would cost more. */
const NEW_WORK: readonly unknown[] = [
  'publish',
  'ask',
  'subscribe',
  'consume',
  'respond',
  'call',
] satisfies Frame['type'][]

export function isNewWork(value: unknown): boolean {
  return typeof value === 'object' && value !== null && NEW_WORK.includes((value as { type?: unknown }).type)
}

/** Errors per second and connection that have a message. */
const EXPLAINED_PER_SECOND = 100

/**
 * Which refusals of a connection are explained. Frames in masses that are each refused must not be answered with many times as
 * many bytes: beyond this many per second an error has no message, and one that names no request is not sent.
 */
export class Explanations {
  private readonly clock: Clock
  private second = 0
  private count = 0

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** The error frame to send, or undefined if none is sent. */
  frameFor(error: FanfareError, about: unknown): ErrorFrame | undefined {
    const second = Math.floor(this.clock.now() / 1000)
    if (second !== this.second) this.count = 0
    this.second = second
    const frame = errorFrame(error, about)
    if (++this.count <= EXPLAINED_PER_SECOND) return frame
    return ABOUT.some((name) => frame[name] !== undefined) ? { ...frame, message: '' } : undefined
  }
}

const ABOUT = ['seq', 'sub', 'offset', 'consumer', 'delivery', 'request'] as const

/** An error frame, with the numbers of the request that it refuses. */
export function errorFrame({ code, message, retry }: FanfareError, about?: unknown): ErrorFrame {
  return { type: 'error', code, message, retry, ...numbersIn(about) }
}

function numbersIn(value: unknown): Partial<Record<(typeof ABOUT)[number], number>> {
  const numbers: Partial<Record<(typeof ABOUT)[number], number>> = {}
  if (typeof value !== 'object' || value === null) return numbers
  for (const name of ABOUT) {
    const number = (value as Record<string, unknown>)[name]
    if (typeof number === 'number') numbers[name] = number
  }
  return numbers
}
