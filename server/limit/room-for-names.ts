import { FanfareError } from '../../shared/errors.ts'

/** How many names of one kind there may be, and what to do with one more. */
export interface NameLimit {
  /** Maximum number of names, 0 for no limit. */
  readonly most: number
  readonly code: 'too_many_streams' | 'too_many_queues'
  /** Called for each refusal. */
  hit(): void
}

/**
 * Whether one more stream, or queue, may be declared by a client. What the configuration declares and what is on the disk is
 * there in any case, and counts.
 */
export class RoomForNames {
  private readonly limit: NameLimit
  private readonly known: ReadonlyMap<string, unknown>
  /** Names that are new, and whose declaration is under way. */
  private readonly coming = new Set<string>()

  constructor(limit: NameLimit, known: ReadonlyMap<string, unknown>) {
    this.limit = limit
    this.known = known
  }

  /** Declares a name, if it is known or there is room; `declare` adds it to those that are known. */
  async declare(name: string, declare: () => Promise<void>): Promise<void> {
    if (this.known.has(name) || this.coming.has(name)) return declare()
    const { most, code, hit } = this.limit
    if (most > 0 && this.known.size + this.coming.size >= most) {
      hit()
      throw new FanfareError(code, `The limit is ${most}`)
    }
    this.coming.add(name)
    try {
      await declare()
    } finally {
      this.coming.delete(name)
    }
  }
}
