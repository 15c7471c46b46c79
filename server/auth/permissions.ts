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

/** Permissions as configuration, tokens and programs write them, with placeholders such as `users.${sub}.#`. */
export const PermissionsConfig = z.strictObject({
  publish: patterns.optional(),
  subscribe: patterns.optional(),
  respond: patterns.optional(),
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

/** Called with a pattern that permits nothing, because no topic can have this claim in it. */
type Unfit = (pattern: string, claim: string) => void

/**
 * Replaces each placeholder by its claim, as one word of a topic (see `topicWord`): a subject `#` or `a.b` opens nothing that others have.
 * A pattern with a claim that is missing permits nothing, and neither does one with a claim that no word can stand for. The others
 * do: one value that does not fit must not lock a client out.
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
    // Together the words may be too long.
    parsePattern(filled)
    return filled
  } catch {
    unfit(pattern, last)
    return undefined
  }
}

/** Throws if no word can stand for it. */
function wordOf(claim: unknown): string {
  if (typeof claim === 'string') return topicWord(claim)
  if (Number.isSafeInteger(claim)) return String(claim)
  throw new TypeError('Neither text nor a whole number')
}
