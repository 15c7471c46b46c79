import type { Attention, AttentionEntry, AttentionSubject, Trouble } from '../../shared/sys.ts'
import type { Queues } from '../queue/queues.ts'
import type { Connections } from '../registry/connections.ts'
import { firstOf } from '../registry/first-of.ts'
import { connectionSeverity, SEVERITY } from '../registry/severity.ts'
import type { Monitor } from './monitor.ts'
import { connectionTroubles, hubTroubles, queueSeverity, queueTroubles } from './trouble.ts'
import { inTurns } from './turns.ts'

/** Queues, and connections, that are looked at in one turn of the event loop. */
const AT_ONCE = 500

interface Parts {
  readonly queues: Queues
  readonly connections: Connections
  readonly monitor: Monitor
}

/** Something that needs attention, before it is put into words. */
interface Candidate {
  readonly severity: number
  /** Among those of one severity, the highest first. */
  readonly weight: number
  readonly entry: () => AttentionEntry | undefined
}

/** What needs attention in a hub, `limit` things at most, the worst first. Only these are put into words. */
export async function attention(
  { queues, connections, monitor }: Parts,
  limit: number,
  now: number,
): Promise<Attention> {
  const counts = { problems: 0, warnings: 0 }
  let worst: readonly Candidate[] = []
  const add = (candidates: readonly Candidate[]) => {
    for (const { severity } of candidates) severity === SEVERITY.problem ? counts.problems++ : counts.warnings++
    worst = firstOf([...worst, ...candidates], limit, (a, b) => b.severity - a.severity || b.weight - a.weight)
  }
  const hub = entryOf({ kind: 'hub' }, hubTroubles(monitor.hub(), monitor.storageFailure))
  if (hub) add([{ severity: SEVERITY[hub.level], weight: Number.POSITIVE_INFINITY, entry: () => hub }])
  for await (const names of inTurns(queues.names, AT_ONCE))
    add(names.flatMap((name) => queueCandidate(queues, name, now)))
  for await (const some of inTurns(connections.all, AT_ONCE)) {
    add(
      some.flatMap((connection) => {
        const severity = connectionSeverity(connection.outbox, now)
        if (severity === 0) return []
        const entry = () => {
          const info = connections.describe(connection)
          const about = { kind: 'connection', connection: info.connection, client: info.client } as const
          return entryOf(about, connectionTroubles(info, now))
        }
        return [{ severity, weight: connection.outbox.droppedTotal, entry }]
      }),
    )
  }
  return { ...counts, entries: worst.flatMap(({ entry }) => entry() ?? []) }
}

function queueCandidate(queues: Queues, name: string, now: number): Candidate[] {
  const figures = queues.figures(name)
  const severity = figures ? queueSeverity(figures) : 0
  if (!figures || severity === 0) return []
  const entry = () => entryOf({ kind: 'queue', name }, queueTroubles(figures, now))
  return [{ severity, weight: figures.state.ready, entry }]
}

/** Undefined if there is nothing wrong. */
function entryOf(about: AttentionSubject, troubles: readonly Trouble[]): AttentionEntry | undefined {
  const [worst] = troubles
  return worst && { about, level: worst.level, troubles }
}
