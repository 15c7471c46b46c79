import type { GrantedPermissions, WhoAmI } from '../../shared/whoami.ts'

/** Finds the missing permission in an error text: `admin on $sys.hub.show`. */
const MISSING = /.* needs (publish|subscribe|respond|consume|declare|admin) permission for (.*)\.$/s

/** The missing permissions by the part of the page that asked; each is shown for as long as that part is open. */
const refusals = new Map<object, string>()

/** Records whether the hub refused a call, to report it at the head of the page. */
export function heard(asker: object, error?: unknown): void {
  const right = rightIn(error)
  if (right === undefined) refusals.delete(asker)
  else refusals.set(asker, right)
}

/** A sentence that names the missing permission; undefined if the error is not such a refusal. */
export function missingRight(error: unknown): string | undefined {
  const right = rightIn(error)
  return right && `Your token lacks the permission for this: ${right}.`
}

/** A sentence that names all permissions missing for what is shown. */
export function missingRights(): string | undefined {
  const rights = [...new Set(refusals.values())]
  if (rights.length === 0) return undefined
  return `Your token lacks the ${rights.length === 1 ? 'permission' : 'permissions'} ${listed(rights, 'and')}.`
}

const SEEN_BY = { queues: ['consume', 'declare', 'admin'], streams: ['declare', 'admin'] } as const

/** A sentence that says which queues or streams the token lets the user see; undefined if all of them. */
export function seenOnly(kind: keyof typeof SEEN_BY, who: WhoAmI | undefined): string | undefined {
  if (!who || who.permissions.admin === true) return undefined
  const verbs = SEEN_BY[kind]
  const permissions: GrantedPermissions = who.permissions
  const granted = verbs.flatMap((verb) =>
    ((permissions[verb] ?? []) as readonly string[]).map((pattern) => [verb, pattern]),
  )
  if (granted.some(([, pattern]) => pattern === '#')) return undefined
  if (granted.length === 0)
    return `Your token does not allow you to see any ${kind}. It needs the permission ${listed(verbs, 'or')}.`
  const shown = granted.slice(0, 5).map(([verb, pattern]) => `${verb} on ${pattern}`)
  if (granted.length > 5) shown.push(`${granted.length - 5} more`)
  return `Your token allows you to see only some ${kind}: it has ${listed(shown, 'and')}.`
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
