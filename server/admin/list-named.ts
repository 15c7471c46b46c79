import type { Access, Verb } from '../auth/access.ts'
import { inTurns } from '../monitor/turns.ts'

/** Streams or queues. */
interface NamedItems<Info> {
  readonly names: Iterable<string>
  /** Describes those that exist. */
  list(names: readonly string[]): Promise<readonly Info[]>
}

/** A page of the names that the client can see: how many to skip, and how many to list. */
interface WantedPage {
  readonly from: number
  readonly limit: number
}

/** Names checked, and names described, per turn of the event loop. */
const ASKED_AT_ONCE = 200
const LISTED_AT_ONCE = 50
/** Maximum length of a page in characters of JSON, since items can be of any size. */
const PAGE_LENGTH = 512 * 1024

/** Selects the names that a client with one of these permissions can see; undefined for none. */
export function seenBy(access: Access, verbs: readonly Verb[]): ((name: string) => boolean) | undefined {
  return access.mayAny(verbs) ? (name) => verbs.some((verb) => access.may(verb, name)) : undefined
}

/**
 * One page of what the caller can see. Permissions are checked first: items that are invisible or not on the page are not
 * described. No turn of the event loop is long, however many names there are.
 */
export async function listNamed<Info>(
  named: NamedItems<Info>,
  sees: ((name: string) => boolean) | undefined,
  { from, limit }: WantedPage,
): Promise<readonly Info[]> {
  return sees ? describe(named, await namesOf(named.names, sees, from, limit)) : []
}

/** Describes those that still exist, in the order of the names, up to the maximum length of a page. */
export async function describe<Info>(
  named: Pick<NamedItems<Info>, 'list'>,
  all: readonly string[],
): Promise<readonly Info[]> {
  const page: Info[] = []
  let length = 0
  for await (const names of inTurns(all, LISTED_AT_ONCE)) {
    for (const info of await named.list(names)) {
      length += JSON.stringify(info).length
      // At least one item, otherwise no client could get past it.
      if (length > PAGE_LENGTH && page.length > 0) return page
      page.push(info)
    }
  }
  return page
}

async function namesOf(
  names: Iterable<string>,
  sees: (name: string) => boolean,
  from: number,
  limit: number,
): Promise<readonly string[]> {
  const seen: string[] = []
  let before = from
  for await (const some of inTurns(names, ASKED_AT_ONCE)) {
    for (const name of some) {
      if (!sees(name) || before-- > 0) continue
      seen.push(name)
      if (seen.length === limit) return seen
    }
  }
  return seen
}
