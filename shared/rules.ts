import { quoted, shown } from './error-text.ts'
import { FanfareError } from './fanfare-error.ts'
import { ForbiddenFrame } from './forbidden-keys.ts'

/** What a field has to be, in words, and whether a value is that. */
export type Rule = readonly [words: string, fits: (value: unknown) => boolean]
/** A rule for each field that is looked at. */
export type Rules = { readonly [name: string]: Rule }
export type Fields = Record<string, unknown>

export const ANY: Rule = ['', () => true]
export const NUMBER = whole(0)
export const BOOLEAN: Rule = ['a boolean', (value) => typeof value === 'boolean']
export const TEXT: Rule = ['a string', (value) => typeof value === 'string']
export const LIST: Rule = ['a list', Array.isArray]

/** Any number in these bounds, also one with a fraction. */
export function number(least: number, most = Number.MAX_VALUE): Rule {
  return [`a number${from(least, most)}`, (value) => typeof value === 'number' && value >= least && value <= most]
}

export function whole(least: number, most = Number.MAX_SAFE_INTEGER): Rule {
  return [
    `an integer${from(least, most)}`,
    (value) => Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most,
  ]
}

function from(least: number, most: number): string {
  return ` from ${least}${most < Number.MAX_SAFE_INTEGER ? ` to ${most}` : ''}`
}

export function textUpTo(most: number): Rule {
  return [`a string of at most ${most} characters`, (value) => typeof value === 'string' && value.length <= most]
}

export function matching(pattern: RegExp, words: string): Rule {
  return [words, (value) => typeof value === 'string' && pattern.test(value)]
}

/** An object whose fields obey these rules. */
export function objectOf(rules: Rules): Rule {
  return [
    `an object with ${Object.keys(rules).join(', ')}`,
    (value) => isFields(value) && broken(value, rules) === undefined,
  ]
}

/** The same, or nothing. */
export function optional([words, fits]: Rule): Rule {
  return [words, (value) => value === undefined || fits(value)]
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The first field that breaks its rule, as `seq must be an integer from 0 (got -1).` */
export function broken(fields: Fields, rules: Rules): string | undefined {
  for (const name in rules) {
    const [words, fits] = rules[name] as Rule
    if (!fits(fields[name])) return mismatch(name, words, fields[name])
  }
  return undefined
}

/** That `what`, a type of frame or a part of one, has a field without a rule, which is named. `type` needs no rule. */
export function unknownField(what: string, fields: Fields, rules: Rules): string | undefined {
  for (const name in fields)
    if (name !== 'type' && fields[name] !== undefined && !Object.hasOwn(rules, name))
      return `${what} has no field ${quoted(name)}.`
  return undefined
}

/** That a value is not what it has to be, with what was got. */
export function mismatch(name: string, words: string, value: unknown): string {
  return `${name} must be ${words} (got ${shown(value)}).`
}

/**
 * The frame, which is the object that was given, checked and not copied. Undefined: none of these types. Throws `bad_frame` for a wrong
 * shape, `forbidden_key`.
 */
export function checkFrame(value: unknown, types: { readonly [type: string]: Rules }): Fields | undefined {
  if (value instanceof ForbiddenFrame) throw new FanfareError('forbidden_key')
  if (!isFields(value) || typeof value['type'] !== 'string')
    throw new FanfareError('bad_frame', `A frame must be a JSON object with a "type" (got ${shown(value)}).`)
  const { type } = value
  const rules = Object.hasOwn(types, type) && types[type]
  if (!rules) return undefined
  const fault = broken(value, rules)
  if (fault) throw new FanfareError('bad_frame', fault)
  return value
}
