import { quoted } from '../../shared/error-text.ts'
import { FanfareError } from '../../shared/errors.ts'
import type {
  Attention,
  ConnectionInfo,
  ConnectionsPage,
  ConnectionsStatus,
  EndedConnection,
  History,
  HistoryRange,
  HubInfo,
  NodesStatus,
  TopicsStatus,
} from '../../shared/sys.ts'
import type { NodeName } from '../bus/bus.ts'
import type { Nodes } from '../bus/nodes.ts'
import type { AttentionRows } from '../bus/questions.ts'
import { ENDED } from '../registry/connections.ts'
import { busiestOf, latestEnded, pageOf, slowestOf, sumOfHistories, sumOfHubs, worstOf } from './sums.ts'

/** Interval of the samples of a history, in milliseconds. */
const STEP_MS: Readonly<Record<HistoryRange, number>> = { minutes: 1000, day: 60_000 }

/** The hub as one, however many nodes it has: asks each node and combines the answers. */
export class Overview {
  private readonly nodes: Nodes

  constructor(nodes: Nodes) {
    this.nodes = nodes
  }

  async hub(): Promise<HubInfo> {
    return sumOfHubs(await this.nodes.askAll('hub.show', {}))
  }

  /** The status of each node. */
  async eachNode(): Promise<NodesStatus> {
    const others = this.nodes.askEachOther('hub.show', {})
    const own = await this.nodes.askOwn('hub.show', {})
    const rows = [
      { ...nodeFigures(own), self: true },
      ...(await others).map(({ node, answer }) => ({ ...node, ...(answer && nodeFigures(answer)), self: false })),
    ]
    rows.sort((a, b) => (a.name === b.name ? order(a.id, b.id) : order(a.name, b.name)))
    return { cutOff: this.nodes.isCutOff, nodes: rows }
  }

  async history(range: HistoryRange): Promise<History> {
    return sumOfHistories(await this.nodes.askAll('hub.history', { range }), STEP_MS[range])
  }

  /** `shared` are the entries that belong to all nodes. */
  async attention(limit: number, shared: AttentionRows): Promise<Attention> {
    return worstOf([shared, ...(await this.nodes.askAll('hub.attention', { limit }))], limit)
  }

  async topics(limit: number): Promise<TopicsStatus> {
    return busiestOf(await this.nodes.askAll('topics.busiest', { limit }), limit)
  }

  async slowest(limit: number): Promise<ConnectionsStatus> {
    return slowestOf(await this.nodes.askAll('connections.slowest', { limit }), limit)
  }

  async connections(from: number, limit: number): Promise<ConnectionsPage> {
    const { answers, coverage } = await this.nodes.survey('connections.list', { from, limit })
    return { ...pageOf(answers, limit), ...coverage }
  }

  async recent(): Promise<readonly EndedConnection[]> {
    return latestEnded(await this.nodes.askAll('connections.recent', {}), ENDED)
  }

  /** An open connection, or one that ended recently. Rejects with `no_connection`. */
  async connection(id: string): Promise<ConnectionInfo | EndedConnection> {
    const asked = { connection: id }
    const own = await this.nodes.askOwn('connections.show', asked)
    if (own) return own
    const others = await this.nodes.askEachOther('connections.show', asked)
    return others.find(({ answer }) => answer)?.answer ?? noConnection(id, others)
  }

  /** Rejects with `no_connection`. */
  async disconnect(id: string): Promise<void> {
    const asked = { connection: id }
    if (await this.nodes.askOwn('connections.disconnect', asked)) return
    const others = await this.nodes.askEachOther('connections.disconnect', asked)
    if (!others.some(({ answer }) => answer)) noConnection(id, others)
  }
}

/** The figures of a node for a list of nodes. */
function nodeFigures({ node, version, startedAt, connections, subscriptions, ...rest }: HubInfo) {
  const { publishedPerSecond, deliveredPerSecond, memoryBytes, cpu, eventLoopDelayMs } = rest
  const rates = { publishedPerSecond, deliveredPerSecond }
  return { ...node, version, startedAt, connections, subscriptions, ...rates, memoryBytes, cpu, eventLoopDelayMs }
}

function order(a: string, b: string): number {
  return a < b ? -1 : 1
}

/** Another node that has not answered may have it. */
function noConnection(id: string, others: readonly { readonly node: NodeName; readonly answer: unknown }[]): never {
  const silent = others.filter(({ answer }) => answer === undefined).map(({ node }) => quoted(node.name))
  throw new FanfareError(
    'no_connection',
    silent.length === 0
      ? `No connection has the id ${quoted(id)}. connections.list lists the open ones.`
      : `No connection of the hubs that answered has the id ${quoted(id)}. Try again: there was no answer from ${silent.join(', ')}.`,
  )
}
