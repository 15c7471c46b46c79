import { FanfareError } from '../../shared/errors.ts'
import type { LimitName } from './limits.ts'

/** Limits on what clients can declare of one kind; 0 for no limit. */
export interface NameLimits {
  /** The kind of name. */
  readonly limit: 'maxStreams' | 'maxQueues'
  readonly maxNames: number
  /** Maximum patterns of all these names together: topics captured by streams, or bindings of queues. */
  readonly maxPatterns: number
  /** Called for each refusal. */
  hit(limit: LimitName): void
}

/** The declared names and their patterns. */
interface Known {
  readonly names: ReadonlyMap<string, unknown>
  readonly patterns: { readonly size: number }
}

const CODES = {
  maxStreams: 'too_many_streams',
  maxQueues: 'too_many_queues',
  maxPatterns: 'too_many_patterns',
} as const

/**
 * Limits how many streams or queues clients can declare. Those of the configuration and of the data directory are never refused,
 * but count.
 */
export class NameQuota {
  private readonly limits: NameLimits
  private readonly known: Known
  /** New names whose declaration is in progress, with the number of their patterns. */
  private readonly coming = new Map<string, number>()

  constructor(limits: NameLimits, known: Known) {
    this.limits = limits
    this.known = known
  }

  /**
   * Declares a name; `declare` has to add it to the known ones. `more` is how many patterns a known name gets in addition.
   *
   * @throws {FanfareError} too_many_streams, too_many_queues, too_many_patterns: the name is new, or gets more patterns, and exceeds a limit
   */
  async declare(name: string, patterns: number, declare: () => Promise<void>, more = 0): Promise<void> {
    const { limit, maxNames, maxPatterns } = this.limits
    if (this.known.names.has(name) || this.coming.has(name)) {
      if (more > 0) this.check('maxPatterns', this.known.patterns.size + more, maxPatterns)
      return declare()
    }
    let allPatterns = this.known.patterns.size + patterns
    for (const others of this.coming.values()) allPatterns += others
    this.check(limit, this.known.names.size + this.coming.size + 1, maxNames)
    this.check('maxPatterns', allPatterns, maxPatterns)
    this.coming.set(name, patterns)
    try {
      await declare()
    } finally {
      this.coming.delete(name)
    }
  }

  private check(limit: keyof typeof CODES, count: number, max: number): void {
    if (max === 0 || count <= max) return
    this.limits.hit(limit)
    throw new FanfareError(
      CODES[limit],
      `The hub would exceed ${limit}, which is ${max}. Delete what is unused, or raise the limit.`,
    )
  }
}
