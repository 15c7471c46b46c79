import { shown } from '../shared/error-text.ts'
import { FanfareError } from '../shared/fanfare-error.ts'
import { MAX_DELAY_MS } from '../shared/field-rules.ts'
import { didYouMean } from '../shared/nearest-name.ts'
import { ANY, NUMBER as INTEGER, isFields, mismatch, number, type Rule, whole } from '../shared/rules.ts'
import { DURATION_WORDS, type Duration, durationMs, type Instant } from '../shared/time.ts'

/** A rule for each option: the compiler reports a missing one, and unknown options are found. */
export type Rules<Options> = { readonly [Name in keyof Required<Options>]: Rule }

/** Anything: something else checks it. */
export { ANY }
export const OBJECT: Rule = ['an object', isFields]
export const FUNCTION: Rule = ['a function', (value) => typeof value === 'function']
export const COUNT = whole(1)
/** An object with methods of these names. */
export function methods(...names: readonly string[]): Rule {
  return [
    `an object with the methods ${names.join(', ')}`,
    (value) => isFields(value) && names.every((name) => typeof value[name] === 'function'),
  ]
}

export const NUMBER = number(0)
/** A duration from 1 ms to a year, and the same or none. */
export const WAIT = durationFrom(1)
export const DELAY = durationFrom(0)
export const INSTANT: Rule = [
  'a Date, or milliseconds since 1970',
  (value) => (typeof value === 'number' || value instanceof Date) && INTEGER[1](timeOf(value)),
]
export const SIGNAL: Rule = [
  'an AbortSignal',
  (value) =>
    isFields(value) && typeof value['addEventListener'] === 'function' && typeof value['aborted'] === 'boolean',
]

function durationFrom(least: number): Rule {
  return [
    `a duration of ${least} ms to a year: ${DURATION_WORDS}`,
    (value) => {
      const ms = durationMs(value)
      return ms !== undefined && ms >= least && ms <= MAX_DELAY_MS
    },
  ]
}

/** Milliseconds of a duration that has been checked. */
export function msOf(duration: Duration): number {
  return durationMs(duration) as number
}

/** The same in whole milliseconds, as frames have them; undefined if there is none. */
export function wholeMs(duration: Duration | undefined): number | undefined {
  return duration === undefined ? undefined : Math.ceil(msOf(duration))
}

/** Whole milliseconds since 1970 of an instant that has been checked; undefined if there is none. */
export function timeOf(instant: Instant | undefined): number | undefined {
  return instant === undefined ? undefined : Math.ceil(Number(instant))
}

/** Throws `bad_option` that names the option with a wrong name or value. `of` is the method. */
export function checkOptions<Options>(of: string, options: unknown, rules: Rules<Options>): void {
  // An error, an array or a map has no own options, and would count as no options at all.
  if (tagOf(options) !== '[object Object]') refuse(`The options of ${of} must be an object (got ${shown(options)}).`)
  for (const [name, value] of Object.entries(options as object)) {
    const rule = Object.hasOwn(rules, name) ? rules[name as keyof Options] : undefined
    if (!rule) refuseUnknown(of, name, Object.keys(rules))
    else if (value !== undefined) checkArgument(of, name, value, rule)
  }
}

/** Throws `bad_option` for an argument that breaks its rule. */
export function checkArgument(of: string, name: string, value: unknown, [words, fits]: Rule): void {
  if (!fits(value)) refuse(`${of}: ${mismatch(name, words, value)}`)
}

/** Throws `bad_option` for a handler or listener that is not a function. */
export function checkFunction(of: string, value: unknown): void {
  checkArgument(of, 'handler', value, FUNCTION)
}

/** Throws `bad_option` for changes with another name: nothing can be renamed. */
export function checkSameName(of: string, name: string, changes: object): void {
  checkArgument(of, 'name', 'name' in changes ? changes.name : name, [shown(name), (value) => value === name])
}

/** The kind of an object of any realm, such as `[object Map]`. */
export function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value)
}

function refuseUnknown(of: string, name: string, known: readonly string[]): never {
  refuse(`${of} has no option "${name.slice(0, 100)}".${didYouMean(name, known)}`)
}

function refuse(message: string): never {
  throw new FanfareError('bad_option', message)
}
