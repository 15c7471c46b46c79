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
