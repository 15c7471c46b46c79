import { createHash } from 'node:crypto'
import type { Draft } from '../broker.ts'

/** Bytes stored of a scope's hash: enough that no one can find a topic that collides with another. */
const SCOPE_BYTES = 12
/** Maximum number of cached scopes; beyond that the cache is cleared. */
const REMEMBERED = 10_000

/**
 * What makes two publishes the same message: an id belongs to one publisher and one destination, the topic that was published to or
 * the queue (as the topic `$queue.<name>`).
 *
 * Publisher and topic are hashed. So the identity is short however long their names are, and needs no table that would have to be
 * maintained, counted and stored.
 */
export class Identities {
  private readonly scopes = new Map<string | undefined, Map<string, string>>()
  private remembered = 0

  of({ publisher, topic, id }: Pick<Draft, 'publisher' | 'topic' | 'id'>): string {
    return this.scopeOf(publisher, topic) + id
  }

  /** The publisher and destination of an id. The same on every hub and after every restart. */
  scopeOf(publisher: string | undefined, topic: string): string {
    const known = this.scopes.get(publisher)?.get(topic)
    if (known !== undefined) return known
    if (this.remembered >= REMEMBERED) {
      this.scopes.clear()
      this.remembered = 0
    }
    // Topics contain no NUL, so different pairs always give different texts.
    const text = publisher === undefined ? topic : `${topic}\0${publisher}`
    const hash = createHash('sha256').update(text).digest()
    const scope = hash.toString('base64url', 0, SCOPE_BYTES)
    const topics = this.scopes.get(publisher) ?? new Map<string, string>()
    this.scopes.set(publisher, topics.set(topic, scope))
    this.remembered++
    return scope
  }
}

/** Whether an id published at a time is forgotten, so that it may be published again as another message. */
export function isForgotten(time: number, now: number, windowMs: number): boolean {
  return time <= now - windowMs
}
