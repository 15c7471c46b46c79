import { FanfareError } from '../../shared/errors.ts'
import type { LimitName } from './limits.ts'

/** How much clients can declare of one kind, 0 for no limit. */
export interface NameLimits {
  /** Which names. */
  readonly limit: 'maxStreams' | 'maxQueues'
  readonly maxNames: number
  /** Of all these names together: what they capture, or the bindings that feed them. */
  readonly maxPatterns: number
  /** Called for each refusal. */
  hit(limit: LimitName): void
}

/** Those that there are. */
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
 * Whether one more stream, or queue, may be declared by a client. What the configuration declares and what is on the disk is
 * there in any case, and counts.
 */
export class RoomForNames {
  private readonly limits: NameLimits
  private readonly known: Known
  /** Names that are new, and whose declaration is under way, with how many patterns they have. */
  private readonly coming = new Map<string, number>()

  constructor(limits: NameLimits, known: Known) {
    this.limits = limits
    this.known = known
  }

  /** Declares a name, if it is known or there is room; `declare` adds it to those that are known. */
  async declare(name: string, patterns: number, declare: () => Promise<void>): Promise<void> {
    if (this.known.names.has(name) || this.coming.has(name)) return declare()
    const { limit, maxNames, maxPatterns } = this.limits
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
    throw new FanfareError(CODES[limit], `The limit is ${max}`)
  }
}
