import { z } from 'zod'
import { DURATION_WORDS, durationMs, INSTANT_WORDS, instantMs } from '../../shared/time.ts'

/** A century, in milliseconds. A longer time means forever; sums with it have to stay safe integers. */
const CENTURY_MS = 36_525 * 86_400_000

/** A duration of 1 ms or more, as people write it; converted to integer milliseconds, at most a century. */
export const duration = z.union([z.number(), z.string()], { error: mustBe(DURATION_WORDS) }).transform(milliseconds)

/** The same, within bounds that are enforced with an error. `words` describes them. */
export function durationFrom(least: number, most: number, words: string) {
  const error = mustBe(`a duration ${words}, such as "30s" or a number of milliseconds`)
  return z.union([z.number(), z.string()], { error }).transform((value, context): number => {
    const ms = Math.ceil(durationMs(value) ?? Number.NaN)
    if (ms >= least && ms <= most) return ms
    context.addIssue({ code: 'custom', message: error })
    return z.NEVER
  })
}

/** A point in time: a `Date`, milliseconds since 1970, or ISO 8601 text; converted to milliseconds. */
export const instant = z.union([z.number(), z.string(), z.date()]).transform((value, context): number => {
  const ms = Math.ceil(instantMs(value) ?? Number.NaN)
  if (Number.isSafeInteger(ms) && ms >= 0) return ms
  context.addIssue({
    code: 'custom',
    message: mustBe(INSTANT_WORDS),
  })
  return z.NEVER
})

function milliseconds(value: number | string, context: z.RefinementCtx): number {
  const ms = Math.ceil(durationMs(value) ?? 0)
  if (ms >= 1) return Math.min(ms, CENTURY_MS)
  context.addIssue({ code: 'custom', message: mustBe(DURATION_WORDS) })
  return z.NEVER
}

function mustBe(words: string): string {
  return `must be ${words}`
}
