import { FanfareError } from '../../shared/errors.ts'
import { isCovered, parsePattern, parseTopic } from '../../shared/topic.ts'
import type { Identity, Permissions } from './identity.ts'

export const VERBS = ['publish', 'subscribe', 'consume', 'declare', 'admin'] as const
export type Verb = (typeof VERBS)[number]

/** The subject of whoever has no token. */
export const ANONYMOUS = 'anonymous'

/** Answers that are remembered of each verb; beyond that the memory starts anew. */
const REMEMBERED = 500

/** The words of what a verb is asked for. Throws `bad_topic`, `bad_pattern`. */
const WORDS: Record<Verb, (target: string) => readonly string[]> = {
  publish: parseTopic,
  subscribe: parsePattern,
  consume: (name) => name.split('.'),
  declare: (name) => name.split('.'),
  admin: (name) => (name.startsWith('$') ? parsePattern(name) : name.split('.')),
}

/** What one identity may do: each question is answered once and remembered. */
export class Access {
  readonly subject: string
  readonly expiresAt: number | undefined
  /** There is nothing to ask. */
  readonly unrestricted: boolean
  private readonly patterns: Record<Verb, readonly (readonly string[])[]>
  private readonly answers: Partial<Record<Verb, Map<string, boolean>>> = {}
  private readonly denied: (subject: string, verb: Verb, target: string) => void

  /** The permissions have no placeholders any more. `denied` is told of each refusal. */
  constructor(
    { subject, expiresAt, permissions }: Omit<Identity, 'claims'>,
    denied: (subject: string, verb: Verb, target: string) => void,
  ) {
    this.subject = subject
    this.expiresAt = expiresAt
    this.denied = denied
    this.unrestricted = permissions.admin === true
    this.patterns = Object.fromEntries(
      VERBS.map((verb) => [verb, patternsOf(permissions, verb)]),
    ) as typeof this.patterns
  }

  /** What is told to whoever has it. */
  about(now: number): { subject?: string; expiresInMs?: number } {
    const { subject, expiresAt } = this
    return subject === ANONYMOUS
      ? {}
      : { subject, ...(expiresAt !== undefined && { expiresInMs: Math.max(0, expiresAt - now) }) }
  }

  /** Whether it is permitted: to publish to a topic, subscribe to a pattern, or what else on a name. */
  may(verb: Verb, target: string): boolean {
    if (this.unrestricted) return true
    const known = this.answers[verb]?.get(target)
    if (known !== undefined) return known
    // What the hub says of itself shows what everybody does.
    const ofHub = verb === 'subscribe' && /^\$sys(\.|$)/.test(target)
    const allowed = this.patterns[ofHub ? 'admin' : verb]
    const answer = isCovered(WORDS[verb](target), allowed)
    this.answers[verb] ??= new Map()
    if (this.answers[verb].size >= REMEMBERED) this.answers[verb].clear()
    this.answers[verb].set(target, answer)
    return answer
  }

  /** Throws `forbidden`, which names verb and target, where none of the verbs is permitted. */
  require(verbs: Verb | readonly Verb[], target: string): void {
    const [verb, ...others] = typeof verbs === 'string' ? [verbs] : verbs
    if (this.may(verb as Verb, target) || others.some((other) => this.may(other, target))) return
    throw this.refusal(verb as Verb, target)
  }

  /**
   * Whoever reads under the name of a cursor moves it for all: one is for those who may read the whole stream, or whose own it is by
   * its beginning, the subject and a dot. Throws `forbidden`.
   */
  requireCursor(cursor: string, streamTopics: readonly (readonly string[])[]): void {
    const own = this.ownCursors
    if (own !== undefined && cursor.startsWith(own)) return
    if (this.mayReadAll(streamTopics)) return
    throw this.refusal('subscribe', `the whole stream of the cursor ${cursor}`)
  }

  /** How the names of one's own cursors begin; undefined where the subject is no word. */
  get ownCursors(): string | undefined {
    return /^[\w-]+$/.test(this.subject) ? `${this.subject}.` : undefined
  }

  /** Whether all topics of a stream may be subscribed. */
  mayReadAll(streamTopics: readonly (readonly string[])[]): boolean {
    return this.unrestricted || streamTopics.every((words) => this.may('subscribe', words.join('.')))
  }

  private refusal(verb: Verb, target: string): FanfareError {
    this.denied(this.subject, verb, target)
    return new FanfareError('forbidden', `${this.subject} may not ${verb}: ${target}`)
  }
}

function patternsOf(permissions: Permissions, verb: Verb): readonly (readonly string[])[] {
  const patterns = permissions[verb]
  return typeof patterns === 'object' ? patterns.map(parsePattern) : []
}
