import { z } from 'zod'
import { FanfareError } from '../../shared/errors.ts'
import { parsePattern } from '../../shared/topic.ts'
import { VERBS } from './access.ts'
import type { Permissions } from './identity.ts'

const PLACEHOLDER = /\$\{([^{}]*)\}/g
/** One word of a topic: no dot, no wildcard, and no $, with which the hub's own topics begin. */
const WORD = /^[A-Za-z0-9_:@/+=~-]+$/

const pattern = z.string().superRefine((value, context) => {
  try {
    parsePattern(value.replace(PLACEHOLDER, 'x'))
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message })
  }
})
const patterns = z.array(pattern).max(1000)

/** Permissions as configuration, tokens and programs write them, with placeholders such as `users.${sub}.#`. */
export const PermissionsConfig = z.strictObject({
  publish: patterns.optional(),
  subscribe: patterns.optional(),
  consume: patterns.optional(),
  declare: patterns.optional(),
  admin: z.union([z.boolean(), patterns]).optional(),
}) satisfies z.ZodType<Permissions>

/** All that any of them permits. */
export function union(all: readonly Permissions[]): Permissions {
  if (all.some(({ admin }) => admin === true)) return { admin: true }
  return Object.fromEntries(
    VERBS.map((verb) => [verb, all.flatMap((each) => (typeof each[verb] === 'object' ? each[verb] : []))]),
  )
}

/**
 * Puts claims where the placeholders are. A claim that is missing permits nothing; one that is not one word of a topic
 * is refused with `unauthenticated`: a subject `#` or `a.b` would else be permitted what others have.
 */
export function fill(permissions: Permissions, claims: Readonly<Record<string, unknown>>): Permissions {
  const filled = (verb: (typeof VERBS)[number]) => {
    const value = permissions[verb]
    return typeof value === 'object' ? value.flatMap((each) => fillPattern(each, claims) ?? []) : value
  }
  return Object.fromEntries(VERBS.map((verb) => [verb, filled(verb)]))
}

function fillPattern(pattern: string, claims: Readonly<Record<string, unknown>>): string | undefined {
  let missing = false
  const filled = pattern.replace(PLACEHOLDER, (_, name: string) => {
    const claim = Object.hasOwn(claims, name) ? claims[name] : undefined
    if (claim === undefined) missing = true
    else if (!isWord(claim)) {
      throw new FanfareError('unauthenticated', `The claim "${name}" is not one word of a topic, as ${pattern} needs`)
    }
    return String(claim)
  })
  return missing ? undefined : filled
}

function isWord(claim: unknown): claim is string | number {
  return (typeof claim === 'string' && WORD.test(claim)) || Number.isSafeInteger(claim)
}
