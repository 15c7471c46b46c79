import type { GrantedPermissions, WhoAmI } from '../../shared/whoami.ts'

/** What a refusal says is missing: `admin on $sys.hub.show`. */
const MISSING = /.* needs (publish|subscribe|respond|consume|declare|admin) permission for (.*)\.$/s

/** What is missing, by who has asked for it: it is said as long as somebody asks. */
const refusals = new Map<object, string>()

/** Keeps in mind whether the hub has refused what is asked for, to say so at the head of the page. */
export function heard(asker: object, error?: unknown): void {
  const right = rightIn(error)
  if (right === undefined) refusals.delete(asker)
  else refusals.set(asker, right)
}

/** Which right is missing, as a sentence; undefined if an error is no such refusal. */
export function missingRight(error: unknown): string | undefined {
  const right = rightIn(error)
  return right && `This needs a permission that your token does not have: ${right}.`
}

/** All rights that are missing on what is shown, as one sentence. */
export function missingRights(): string | undefined {
  const rights = [...new Set(refusals.values())]
  if (rights.length === 0) return undefined
  return `Your token does not have ${rights.length === 1 ? 'the permission' : 'these permissions:'} ${listed(rights, 'and')}.`
}

const SEEN_BY = { queues: ['consume', 'declare', 'admin'], streams: ['declare', 'admin'] } as const

/** Which of the queues or streams a client sees in lists, as a sentence; undefined if it sees all of them. */
export function seenOnly(kind: keyof typeof SEEN_BY, who: WhoAmI | undefined): string | undefined {
  if (!who || who.permissions.admin === true) return undefined
  const verbs = SEEN_BY[kind]
  const permissions: GrantedPermissions = who.permissions
  const granted = verbs.flatMap((verb) =>
    ((permissions[verb] ?? []) as readonly string[]).map((pattern) => [verb, pattern]),
  )
  if (granted.some(([, pattern]) => pattern === '#')) return undefined
  if (granted.length === 0) return `Your token cannot see any ${kind}: that needs ${listed(verbs, 'or')}.`
  const shown = granted.slice(0, 5).map(([verb, pattern]) => `${verb} on ${pattern}`)
  if (granted.length > 5) shown.push(`${granted.length - 5} more`)
  return `Your token can only see some ${kind}: it has ${listed(shown, 'and')}.`
}

function rightIn(error: unknown): string | undefined {
  const { code, message = '' } = (error ?? {}) as { code?: unknown; message?: string }
  if (code !== 'forbidden') return undefined
  const [, verb, target] = MISSING.exec(message) ?? []
  return verb === undefined ? message : `${verb} on ${target}`
}

function listed(words: readonly string[], last: 'and' | 'or'): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1)}`
}
