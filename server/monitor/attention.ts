import type { AttentionEntry, AttentionSubject, Trouble } from '../../shared/sys.ts'
import type { AttentionRow, AttentionRows } from '../bus/questions.ts'
import type { Queues } from '../queue/queues.ts'
import type { Connections } from '../registry/connections.ts'
import { firstOf } from '../registry/first-of.ts'
import { connectionSeverity, SEVERITY } from '../registry/severity.ts'
import type { Monitor } from './monitor.ts'
import { worstFirst } from './sums.ts'
import { connectionTroubles, hubTroubles, queueSeverity, queueTroubles } from './trouble.ts'
import { inTurns } from './turns.ts'

/** Queues, and connections, checked per turn of the event loop. */
const AT_ONCE = 500

/** Something that needs attention, before its text is composed. */
interface Candidate {
  readonly severity: number
  /** Orders entries of one severity, the highest first. */
  readonly weight: number
  readonly entry: () => AttentionEntry | undefined
}

/** What needs attention on a node and its connections: at most `limit` entries, the worst first. */
export async function nodeAttention(
  { connections, monitor }: { readonly connections: Connections; readonly monitor: Monitor },
  limit: number,
  now: number,
): Promise<AttentionRows> {
  const found = new Worst(limit)
  const hub = entryOf({ kind: 'hub' }, hubTroubles(monitor.hub(), monitor))
  if (hub) found.add([{ severity: SEVERITY[hub.level], weight: Number.MAX_VALUE, entry: () => hub }])
  for await (const some of inTurns(connections.all, AT_ONCE)) {
    found.add(
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
  return found.rows
}

/** The same for the queues. */
export async function queueAttention(queues: Queues, limit: number, now: number): Promise<AttentionRows> {
  const found = new Worst(limit)
  for await (const names of inTurns(queues.names, AT_ONCE))
    found.add(names.flatMap((name) => queueCandidate(queues, name, now)))
  return found.rows
}

/** Counts everything and keeps the worst entries; texts are composed for these only. */
class Worst {
  private readonly limit: number
  private problems = 0
  private warnings = 0
  private worst: readonly Candidate[] = []

  constructor(limit: number) {
    this.limit = limit
  }

  add(candidates: readonly Candidate[]): void {
    for (const { severity } of candidates) severity === SEVERITY.problem ? this.problems++ : this.warnings++
    this.worst = firstOf([...this.worst, ...candidates], this.limit, worstFirst)
  }

  get rows(): AttentionRows {
    const { problems, warnings } = this
    const rows = this.worst.flatMap(({ severity, weight, entry: describe }): AttentionRow[] => {
      const entry = describe()
      return entry ? [{ severity, weight, entry }] : []
    })
    return { problems, warnings, worst: rows }
  }
}

function queueCandidate(queues: Queues, name: string, now: number): Candidate[] {
  const figures = queues.figures(name)
  const severity = figures ? queueSeverity(figures) : 0
  if (!figures || severity === 0) return []
  const entry = () => entryOf({ kind: 'queue', name }, queueTroubles(figures, now))
  return [{ severity, weight: figures.state.ready, entry }]
}

/** Undefined if nothing is wrong. */
function entryOf(about: AttentionSubject, troubles: readonly Trouble[]): AttentionEntry | undefined {
  const [worst] = troubles
  return worst && { about, level: worst.level, troubles }
}
