import type { RedisAddress } from './redis-address.ts'

/** A cluster whose nodes send a hub from one to the next does not agree with itself yet. */
const MOST_HOPS = 5

/**
 * Where a link connects: to the address that was given. In a Redis Cluster a node that does not hold the keys names the one that does, and the link goes
 * there; if that one is gone, the given nodes are asked again, one after the other.
 */
export class SlotOwner {
  private readonly given: RedisAddress
  private readonly nodes: readonly RedisAddress[]
  private at = 0
  private owner: RedisAddress | undefined = undefined

  constructor(given: RedisAddress) {
    const { others = [], ...first } = given
    this.given = given
    this.nodes = [first, ...others.map((place) => ({ ...first, ...place }))]
  }

  get address(): RedisAddress {
    return this.owner ?? (this.nodes[this.at] as RedisAddress)
  }

  /** Whether an error names another node. The next attempt goes there. */
  follows(error: unknown): boolean {
    const match = /\bMOVED \d+ ([^ ]*):(\d+)/.exec(String(error))
    if (!match) return false
    // No host means that of the node that answered.
    const host = match[1] === '' || match[1] === '?' ? this.address.host : match[1]
    this.owner = { ...(this.nodes[0] as RedisAddress), host: host as string, port: Number(match[2]) }
    return true
  }

  /** Tries until one of the nodes can be used. Rejects with the error of the last attempt. */
  async reach(attempt: () => Promise<void>): Promise<void> {
    let failures = 0
    for (let hops = 0; ; ) {
      try {
        return await attempt()
      } catch (error) {
        if (hops++ < MOST_HOPS && this.follows(error)) continue
        // The one that was named before may have been replaced.
        const wasNamed = this.owner !== undefined
        this.owner = undefined
        if (!wasNamed) {
          this.at = (this.at + 1) % this.nodes.length
          failures++
        }
        if (failures >= this.nodes.length || hops > MOST_HOPS) throw error
      }
    }
  }

  /** What was given, for error messages. */
  get shown(): RedisAddress {
    return this.given
  }
}
