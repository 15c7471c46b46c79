import type { Clock } from '../../shared/clock.ts'
import type { Connection } from './connection.ts'

/** Interval at which clients are moved, in milliseconds. At least one moves each time, so that a hub with few clients does not take long. */
const EVERY_MS = 50
/** Part of the time after which each client has had its turn, and part after which the last ones move, whatever they are doing. */
const TURNS = 0.7
const END = 0.9

/**
 * Moves the clients of a draining node to the others, spread over the given time. If all of them reconnected at once, the other nodes
 * would have to accept them in the same second. From its turn on, a client gets no new work; it moves when its open work
 * (requests, deliveries, publishes, calls) is finished. Resolves when all have been told to move.
 */
export function moveOff(connections: Iterable<Connection>, timeMs: number, clock: Clock): Promise<void> {
  const waiting = [...connections]
  const count = waiting.length
  const finishing = new Set<Connection>()
  const begin = clock.now()
  const move = () => {
    const elapsed = (clock.now() - begin) / timeMs
    const moved = count - waiting.length
    const due = Math.max(moved + 1, Math.ceil((count * elapsed) / TURNS))
    for (const connection of waiting.splice(0, due - moved)) finishing.add(connection)
    for (const connection of finishing) {
      const isDone = connection.dispatch?.windDown() ?? true
      if (!isDone && elapsed < END) continue
      finishing.delete(connection)
      connection.finish()
    }
    return waiting.length + finishing.size === 0
  }
  return new Promise((resolve) => {
    if (move()) return resolve()
    const timer = clock.setInterval(() => {
      if (!move()) return
      clock.clearInterval(timer)
      resolve()
    }, EVERY_MS)
  })
}
