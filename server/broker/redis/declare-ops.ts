import type { QueueOptions } from '../../../shared/queues.ts'
import type { StreamOptions } from '../../../shared/streams.ts'
import { randomId } from '../../id/random-id.ts'
import { canonical } from '../rules/declarations.ts'
import { listOf, type SpaceState } from './answers.ts'
import type { CommitLog } from './commit-log.ts'
import type { Argument } from './link.ts'
import type { Op } from './writer.ts'

export function declareStreamOp(options: StreamOptions, replace: boolean): Op {
  const { name, maxAgeMs, maxBytes, maxMessages, lastValue } = options
  const limits: Argument[] = [maxAgeMs, maxBytes, maxMessages ?? '', lastValue ? 1 : 0]
  return {
    name: 'declareStream',
    args: [name, canonical(options), JSON.stringify(options), replace ? 1 : 0, randomId(8), ...limits],
  }
}

export function declareQueueOp(options: QueueOptions, replace: boolean): Op {
  const args = [options.name, canonical(options), JSON.stringify(options), replace ? 1 : 0]
  return { name: 'declareQueue', args }
}

/** Declares what this node has seen, and a space does not have. */
export function missingIn({ s, q }: SpaceState, { streams, queues }: Pick<CommitLog, 'streams' | 'queues'>): Op[] {
  const there = new Set(listOf(s).map(([name]) => name))
  const queuesThere = new Set(listOf(q).map(([name]) => name))
  const ops: Op[] = []
  for (const [name, { options }] of streams) if (!there.has(name)) ops.push(declareStreamOp(options, false))
  for (const [name, { options }] of queues) if (!queuesThere.has(name)) ops.push(declareQueueOp(options, false))
  return ops
}
