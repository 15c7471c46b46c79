import { createHash } from 'node:crypto'
import type { Draft } from '../broker.ts'

/** Bytes of a scope's hash that are kept: too many for anyone to find a topic that collides with another's. */
const SCOPE_BYTES = 12
/** Scopes that are remembered; beyond that the memory starts again. */
const REMEMBERED = 10_000

/**
 * What makes a publish the same message as an earlier one: an id belongs to one publisher and one destination, the topic
 * that was published to, or the queue that was enqueued to (which is the topic `$queue.<name>`).
 *
 * Publisher and topic are hashed. The identity is then short however long their names are, and needs no table that would
 * have to be kept, counted and stored.
 */
export class Identities {
  private readonly scopes = new Map<string | undefined, Map<string, string>>()
  private remembered = 0

  of({ publisher, topic, id }: Pick<Draft, 'publisher' | 'topic' | 'id'>): string {
    return this.scopeOf(publisher, topic) + id
  }

  /** Publisher and destination of an id. It is the same on every hub, and after every restart. */
  scopeOf(publisher: string | undefined, topic: string): string {
    const known = this.scopes.get(publisher)?.get(topic)
    if (known !== undefined) return known
    if (this.remembered >= REMEMBERED) {
      this.scopes.clear()
      this.remembered = 0
    }
    // A topic has no NUL, so that no two pairs make the same text.
    const text = publisher === undefined ? topic : `${topic}\0${publisher}`
    const hash = createHash('sha256').update(text).digest()
    const scope = hash.toString('base64url', 0, SCOPE_BYTES)
    const topics = this.scopes.get(publisher) ?? new Map<string, string>()
    this.scopes.set(publisher, topics.set(topic, scope))
    this.remembered++
    return scope
  }
}

/** Whether an id that was published at a time is forgotten: it may be published again as another message. */
export function isForgotten(time: number, now: number, windowMs: number): boolean {
  return time <= now - windowMs
}
