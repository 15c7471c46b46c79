/** A length of time: milliseconds, or a number with a unit: `'250ms'`, `'30s'`, `'1.5m'`, `'2h'`, `'7d'`, `'4w'`. */
export type Duration = number | string

/** A point in time: a `Date`, or milliseconds since 1970. In files, in flags and over HTTP also ISO 8601 text. */
export type Instant = Date | number

/** What a duration has to be, for errors. */
export const DURATION_WORDS = 'a number of milliseconds, or text such as "250ms", "30s", "5m", "2h" or "7d"'

/** What an instant has to be, likewise. */
export const INSTANT_WORDS = 'milliseconds since 1970, or a time such as "2026-01-31T12:00Z"'

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000 }

/** Milliseconds of a duration, not rounded and not limited; undefined if it is not a duration. */
export function durationMs(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? value : undefined
  const [, number, unit] = (typeof value === 'string' && /^(\d{1,15}(?:\.\d{1,9})?)(ms|[smhdw])$/.exec(value)) || []
  return number === undefined ? undefined : Number(number) * UNITS[unit as keyof typeof UNITS]
}

/** ISO 8601: a date, or a date and a time; without an offset the time is UTC. */
const ISO = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$/

/** Milliseconds since 1970 of an instant, or of ISO 8601 text; undefined if it is neither. */
export function instantMs(value: unknown): number | undefined {
  let time = value
  if (value instanceof Date) time = value.getTime()
  else if (typeof value === 'string') {
    const found = ISO.exec(value)
    time = found ? Date.parse(found[1] || !value.includes('T') ? value : `${value}Z`) : undefined
  }
  return typeof time === 'number' && Number.isFinite(time) ? time : undefined
}
