import { FanfareError } from '../../shared/errors.ts'
import { type Indexed, PatternIndex } from '../../shared/pattern-index.ts'
import { RecentMap } from '../../shared/recent-map.ts'
import { isCovered, parsePattern, parseTopic, topicWord } from '../../shared/topic.ts'
import type { GrantedPermissions, WhoAmI } from '../../shared/whoami.ts'
import type { Identity, Permissions } from './identity.ts'

export const VERBS = ['publish', 'subscribe', 'respond', 'consume', 'declare', 'admin'] as const
export type Verb = (typeof VERBS)[number]

/** Number of most recent answers remembered per verb; at most twice as many. */
const REMEMBERED = 500

/** Up to this many patterns of a verb are checked one by one; if there are more, which is rare, an index is built. */
const LOOKED_AT = 16

/** Splits a verb's target into words. Throws `bad_topic`, `bad_pattern`. */
const WORDS: Record<Verb, (target: string) => readonly string[]> = {
  publish: parseTopic,
  subscribe: parsePattern,
  respond: parsePattern,
  consume: (name) => name.split('.'),
  declare: (name) => name.split('.'),
  admin: (name) => (name.startsWith('$') ? parsePattern(name) : name.split('.')),
}

/** Maximum length of a subject in an error message, in characters. */
const NAMED_CHARACTERS = 100

/** An identity whose claims are already filled into its permissions. */
export interface KnownIdentity extends Omit<Identity, 'claims' | 'expiresAt'> {
  readonly expiresAt?: number | undefined
  /** For how long it is accepted after `expiresAt`, in milliseconds. */
  readonly toleranceMs?: number | undefined
  /** The roles of the configuration that permissions come from. */
  readonly roles?: readonly string[] | undefined
}

/** The permissions of one identity. Each question is answered once and remembered. */
export class Access {
  readonly subject: string
  /** When it is no longer accepted. Integer milliseconds since 1970, since it goes into frames. */
  readonly endsAt: number | undefined
  /**
   * The client has sent no token. This is a state, not a name: a token may have any subject, `anonymous` too.
   */
  readonly anonymous: boolean
  /** Everything is permitted, so nothing has to be checked. */
  readonly unrestricted: boolean
  /** As the token says: it ends later by the tolerance for clocks. */
  private readonly expiresAt: number | undefined
  private readonly roles: readonly string[]
  private readonly patterns: Record<Verb, readonly (readonly string[])[]>
  private readonly answers: Partial<Record<Verb, RecentMap<string, boolean>>> = {}
  private readonly indices: Partial<Record<Verb, PatternIndex<Indexed>>> = {}
  private readonly denied: (subject: string, verb: Verb, target: string) => void

  /** `permissions` has no placeholders any more. `denied` is called for each refusal. */
  constructor(
    { subject, expiresAt, toleranceMs = 0, permissions, roles = [] }: KnownIdentity,
    denied: (subject: string, verb: Verb, target: string) => void,
    anonymous = false,
  ) {
    this.subject = subject
    this.expiresAt = wholeTime(expiresAt)
    this.endsAt = wholeTime(expiresAt === undefined ? undefined : expiresAt + toleranceMs)
    this.anonymous = anonymous
    this.roles = roles
    this.denied = denied
    this.unrestricted = permissions.admin === true
    this.patterns = Object.fromEntries(
      VERBS.map((verb) => [verb, patternsOf(permissions, verb)]),
    ) as typeof this.patterns
  }

  /** The publisher that message ids belong to: the subject. Undefined for anonymous clients, which count as one publisher together. */
  get publisher(): string | undefined {
    return this.anonymous ? undefined : this.subject
  }

  /** What the hub tells the client about its own identity. */
  about(now: number): { subject?: string; expiresInMs?: number } {
    const { subject, endsAt } = this
    if (this.anonymous) return {}
    return { subject, ...(endsAt !== undefined && { expiresInMs: Math.max(0, endsAt - Math.ceil(now)) }) }
  }

  /** The answer to `hub.whoami`. */
  whoami(): WhoAmI {
    const { subject, anonymous, roles, expiresAt } = this
    return {
      ...(!anonymous && { subject }),
      roles,
      permissions: this.granted,
      ...(expiresAt !== undefined && { expiresAt }),
    }
  }

  private get granted(): GrantedPermissions {
    if (this.unrestricted) return { admin: true }
    const granted = VERBS.filter((verb) => this.patterns[verb].length > 0)
    return Object.fromEntries(granted.map((verb) => [verb, this.patterns[verb].map((words) => words.join('.'))]))
  }

  /** Whether an action is permitted: publishing to a topic, subscribing to a pattern, or another verb on a name. */
  may(verb: Verb, target: string): boolean {
    if (this.unrestricted) return true
    const known = this.answers[verb]?.get(target)
    if (known !== undefined) return known
    // Status topics show what all clients do.
    const ofHub = verb === 'subscribe' && /^\$sys(\.|$)/.test(target)
    const answer = this.covers(ofHub ? 'admin' : verb, WORDS[verb](target))
    this.answers[verb] ??= new RecentMap(REMEMBERED)
    this.answers[verb].set(target, answer)
    return answer
  }

  /** Whether any name could exist on which one of these verbs is permitted. */
  mayAny(verbs: readonly Verb[]): boolean {
    return this.unrestricted || verbs.some((verb) => this.patterns[verb].length > 0)
  }

  /** Throws `forbidden`, which names the verb and the target, if none of the verbs is permitted. */
  require(verbs: Verb | readonly Verb[], target: string): void {
    const [verb, ...others] = typeof verbs === 'string' ? [verbs] : verbs
    if (this.may(verb as Verb, target) || others.some((other) => this.may(other, target))) return
    throw this.refusal(verb as Verb, target)
  }

  /**
   * Reading with a cursor moves it for all its readers. Therefore it requires permission to read the whole stream, or a cursor of
   * the client's own: one whose name begins with the subject, as one word of a topic, and a dot. Throws `forbidden`.
   */
  requireCursor(cursor: string, streamTopics: readonly (readonly string[])[]): void {
    const own = this.ownCursors
    if (own !== undefined && cursor.startsWith(own)) return
    if (this.mayReadAll(streamTopics)) return
    throw this.refusal('subscribe', `the whole stream of the cursor ${cursor}`)
  }

  /** The prefix of the client's own cursors; undefined for anonymous clients, and if the subject cannot be a word of a topic. */
  get ownCursors(): string | undefined {
    if (this.anonymous) return undefined
    try {
      return `${topicWord(this.subject)}.`
    } catch {
      return undefined
    }
  }

  /**
   * Whether subscribing to all topics of a stream is permitted. False for a stream that does not exist: the refusal must not reveal
   * which streams exist.
   */
  mayReadAll(streamTopics: readonly (readonly string[])[]): boolean {
    if (this.unrestricted) return true
    return streamTopics.length > 0 && streamTopics.every((words) => this.may('subscribe', words.join('.')))
  }

  private covers(verb: Verb, words: readonly string[]): boolean {
    const patterns = this.patterns[verb]
    if (patterns.length <= LOOKED_AT) return isCovered(words, patterns)
    this.indices[verb] ??= indexOf(patterns)
    return this.indices[verb].match(words).length > 0
  }

  private refusal(verb: Verb, target: string): FanfareError {
    this.denied(this.subject, verb, target)
    return new FanfareError(
      'forbidden',
      `${JSON.stringify(this.subject.slice(0, NAMED_CHARACTERS))} needs ${verb} permission for ${target}.`,
    )
  }
}

/** Issuers write fractions, and times in the wrong unit or beyond every calendar. A time that is not finite never comes. */
function wholeTime(time: number | undefined): number | undefined {
  return time === undefined || time === Number.POSITIVE_INFINITY
    ? undefined
    : Math.min(Math.floor(time), Number.MAX_SAFE_INTEGER)
}

function patternsOf(permissions: Permissions, verb: Verb): readonly (readonly string[])[] {
  const patterns = permissions[verb]
  return typeof patterns === 'object' ? patterns.map(parsePattern) : []
}

function indexOf(patterns: readonly (readonly string[])[]): PatternIndex<Indexed> {
  const index = new PatternIndex<Indexed>()
  for (const words of patterns) index.add({ words, slot: -1 })
  return index
}
