import type { Clock } from '../../shared/clock.ts'
import type { Nodes } from '../bus/nodes.ts'
import { nodeAttention } from '../monitor/attention.ts'
import type { Monitor } from '../monitor/monitor.ts'
import type { Connections } from '../registry/connections.ts'
import { ownConnections, ownTopics } from './find.ts'

/** The parts that a node's answers come from. */
export interface AnswerParts {
  readonly connections: Connections
  readonly monitor: Monitor
  readonly clock: Clock
}

/** Answers, for this node, the questions that operators ask the hub. */
export function answerOperators(nodes: Nodes, { connections, monitor, clock }: AnswerParts): void {
  nodes.answer('hub.show', () => monitor.hub())
  nodes.answer('hub.history', ({ range }) => monitor.history('hub', '', range))
  nodes.answer('hub.attention', ({ limit }) => nodeAttention({ connections, monitor }, limit, clock.now()))
  nodes.answer('topics.busiest', ({ limit }) => monitor.topics(limit))
  nodes.answer('topics.find', (wanted) => ownTopics({ monitor }, wanted))
  nodes.answer('connections.find', (wanted) => ownConnections({ connections }, wanted))
  nodes.answer('connections.list', ({ from, limit }) => connections.list(from, limit))
  nodes.answer('connections.slowest', ({ limit }) => connections.slowest(limit))
  nodes.answer('connections.recent', () => connections.recent)
  nodes.answer('connections.show', ({ connection }) => connections.show(connection) ?? null)
  nodes.answer('connections.disconnect', ({ connection }) => connections.disconnect(connection))
}
