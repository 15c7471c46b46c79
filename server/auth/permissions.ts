import { z } from 'zod'
import { parsePattern, topicWord } from '../../shared/topic.ts'
import { VERBS } from './access.ts'
import type { Permissions } from './identity.ts'

const PLACEHOLDER = /\$\{([^{}]*)\}/g

const pattern = z.string().superRefine((value, context) => {
  try {
    parsePattern(value.replace(PLACEHOLDER, 'x'))
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message })
  }
})
const patterns = z.array(pattern).max(1000)

/** Permissions as written in configuration, tokens and programs, with placeholders such as `users.${sub}.#`. */
export const PermissionsConfig = z.strictObject({
  publish: patterns.optional(),
  subscribe: patterns.optional(),
  respond: patterns.optional(),
  consume: patterns.optional(),
  declare: patterns.optional(),
  admin: z.union([z.boolean(), patterns]).optional(),
}) satisfies z.ZodType<Permissions>

/** Combines permissions: what any of them permits is permitted. */
export function union(all: readonly Permissions[]): Permissions {
  if (all.some(({ admin }) => admin === true)) return { admin: true }
  return Object.fromEntries(
    VERBS.map((verb) => [verb, all.flatMap((each) => (typeof each[verb] === 'object' ? each[verb] : []))]),
  )
}

/** Called with a pattern that permits nothing, because its claim cannot be a word of a topic. */
type Unfit = (pattern: string, claim: string) => void

/**
 * Replaces each placeholder with its claim, as one word of a topic (see `topicWord`), so that a subject such as `#` or `a.b` does
 * not give access to other clients' topics. A pattern permits nothing if its claim is missing or cannot be a word of a topic. The
 * other patterns still count: one unsuitable value must not lock a client out.
 */
export function fill(
  permissions: Permissions,
  claims: Readonly<Record<string, unknown>>,
  unfit: Unfit = () => {},
): Permissions {
  const filled = (verb: (typeof VERBS)[number]) => {
    const value = permissions[verb]
    return typeof value === 'object' ? value.flatMap((each) => fillPattern(each, claims, unfit) ?? []) : value
  }
  return Object.fromEntries(VERBS.map((verb) => [verb, filled(verb)]))
}

function fillPattern(pattern: string, claims: Readonly<Record<string, unknown>>, unfit: Unfit): string | undefined {
  let missing = false
  let last = ''
  try {
    const filled = pattern.replace(PLACEHOLDER, (_, name: string) => {
      last = name
      const claim = Object.hasOwn(claims, name) ? claims[name] : undefined
      if (claim === undefined) missing = true
      return claim === undefined ? '' : wordOf(claim)
    })
    if (missing) return undefined
    // The filled pattern may be too long.
    parsePattern(filled)
    return filled
  } catch {
    unfit(pattern, last)
    return undefined
  }
}

/** Throws if the claim cannot be a word of a topic. */
function wordOf(claim: unknown): string {
  if (typeof claim === 'string') return topicWord(claim)
  if (Number.isSafeInteger(claim)) return String(claim)
  throw new TypeError('Neither text nor an integer')
}
