import type { Clock } from '../../shared/clock.ts'
import type { FanfareError } from '../../shared/errors.ts'
import type { ErrorFrame, Frame } from '../../shared/frames.ts'

/** What is refused beyond a limit. An ack, or what ends something, is counted, and done: refused it would cost more. */
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

/** Refusals of a connection that are put into words in a second. */
const EXPLAINED_PER_SECOND = 100

/**
 * Which refusals of a connection are explained. Frames in masses that are each refused must not be answered with many times as
 * many bytes: beyond so many in a second an answer has a code and no words, and one that names no request is not sent.
 */
export class Explanations {
  private readonly clock: Clock
  private second = 0
  private count = 0

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** The answer, or undefined where there is none. */
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

/** Tells of an error, and which request it refuses, by the numbers of what it is about. */
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
