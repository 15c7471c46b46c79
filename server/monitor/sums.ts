import type {
  Attention,
  ConnectionInfo,
  ConnectionsStatus,
  EndedConnection,
  History,
  HubInfo,
  TopicInfo,
  TopicsStatus,
} from '../../shared/sys.ts'
import type { AttentionRow, AttentionRows, OwnConnections } from '../bus/questions.ts'
import { firstOf } from '../registry/first-of.ts'

/** Combines the answers of several nodes. The answer of a single node stays as it is. */

/** Figures of a hub that add up. Figures that all nodes share, such as streams, do not. */
const SUMMED = [
  'nodes',
  'connections',
  'subscriptions',
  'topics',
  'publishedTotal',
  'publishedPerSecond',
  'deliveredTotal',
  'deliveredPerSecond',
  'bytesInPerSecond',
  'bytesOutPerSecond',
  'droppedPerSecond',
  'outboxBytes',
  'outboxTotalBytes',
  'waitingPublishes',
  'waitingPublishBytes',
  'waitingPublishLimitBytes',
  'memoryBytes',
  'cpu',
  'unexpectedErrorsTotal',
] as const satisfies readonly (keyof HubInfo)[]

/** The first hub is the node that was asked. */
export function sumOfHubs(hubs: readonly [HubInfo, ...HubInfo[]]): HubInfo {
  const [own] = hubs
  if (hubs.length === 1) return own
  const sums = SUMMED.map((figure) => [figure, sumOf(hubs, (hub) => hub[figure])])
  const reasons = Object.keys(own.droppedTotal) as (keyof HubInfo['droppedTotal'])[]
  const dropped = reasons.map((reason) => [reason, sumOf(hubs, ({ droppedTotal }) => droppedTotal[reason] ?? 0)])
  return {
    ...own,
    ...Object.fromEntries(sums),
    droppedTotal: Object.fromEntries(dropped),
    startedAt: Math.min(...hubs.map(({ startedAt }) => startedAt)),
    eventLoopDelayMs: Math.max(...hubs.map(({ eventLoopDelayMs }) => eventLoopDelayMs)),
  }
}

function sumOf<Item>(items: readonly Item[], figure: (item: Item) => number): number {
  return rounded(items.reduce((sum, item) => sum + figure(item), 0))
}

export function rounded(value: number): number {
  return Math.round(value * 100) / 100
}

/** Each topic once, with the sum of the nodes that list it. */
export function sumOfTopics(topics: readonly TopicInfo[]): TopicInfo[] {
  const byTopic = new Map<string, TopicInfo>()
  for (const info of topics) {
    const { topic, publishedPerSecond, publishedTotal } = info
    const known = byTopic.get(topic)
    byTopic.set(
      topic,
      known
        ? {
            topic,
            publishedPerSecond: rounded(known.publishedPerSecond + publishedPerSecond),
            publishedTotal: known.publishedTotal + publishedTotal,
          }
        : info,
    )
  }
  return [...byTopic.values()]
}

export function busiestOf(all: readonly TopicsStatus[], limit: number): TopicsStatus {
  const topics = sumOfTopics(all.flatMap(({ busiest }) => busiest))
  return { count: countOf(all), busiest: firstOf(topics, limit, busiestFirst) }
}

export function busiestFirst(a: Omit<TopicInfo, 'topic'>, b: Omit<TopicInfo, 'topic'>): number {
  return b.publishedPerSecond - a.publishedPerSecond || b.publishedTotal - a.publishedTotal
}

export function slowestOf(all: readonly ConnectionsStatus[], limit: number): ConnectionsStatus {
  const slowest = all.flatMap(({ slowest }) => slowest)
  return { count: countOf(all), slowest: firstOf(slowest, limit, slowestFirst) }
}

function slowestFirst(a: ConnectionInfo, b: ConnectionInfo): number {
  return b.lagMs - a.lagMs || b.outboxBytes - a.outboxBytes || b.droppedTotal - a.droppedTotal
}

/**
 * Ordered by number. Connections of several nodes can have the same number: all connections with the last number are included, so
 * that the next page can begin with the following number.
 */
export function pageOf(all: readonly OwnConnections[], limit: number): OwnConnections {
  const connections = all.flatMap(({ connections }) => connections).sort((a, b) => a.number - b.number)
  const last = connections[limit - 1]?.number ?? Number.POSITIVE_INFINITY
  return { count: countOf(all), connections: connections.filter(({ number }) => number <= last) }
}

export function latestEnded(all: readonly (readonly EndedConnection[])[], limit: number): readonly EndedConnection[] {
  return firstOf(all.flat(), limit, (a, b) => b.endedAt - a.endedAt)
}

function countOf(all: readonly { readonly count: number }[]): number {
  return all.reduce((sum, { count }) => sum + count, 0)
}

/**
 * The values of all nodes at the times of the first. Nodes are not sampled at the same moment: another node contributes its last
 * sample up to that time, if it is not older than two of `stepMs`.
 */
export function sumOfHistories([own, ...others]: readonly [History, ...History[]], stepMs: number): History {
  const places = others.map(({ times }) => own.times.map((time) => lastAt(times, time, time - 2 * stepMs)))
  const figures = Object.entries(own.figures).map(([figure, values]) => {
    const sums = values.map((value, at) => {
      const more = others.map(({ figures }, n) => figures[figure]?.[places[n]?.[at] ?? -1] ?? 0)
      return rounded(more.reduce((sum, each) => sum + each, value))
    })
    return [figure, sums]
  })
  return { ...own, figures: Object.fromEntries(figures) }
}

/** The index of the last of ascending times that is at most `time` and later than `after`; -1 if there is none. */
function lastAt(times: readonly number[], time: number, after: number): number {
  const at = times.findLastIndex((each) => each <= time)
  return at >= 0 && (times[at] as number) > after ? at : -1
}

/** The worst entries of all nodes. */
export function worstOf(all: readonly AttentionRows[], limit: number): Attention {
  const rows = all.flatMap(({ worst }) => worst)
  return {
    problems: all.reduce((sum, { problems }) => sum + problems, 0),
    warnings: all.reduce((sum, { warnings }) => sum + warnings, 0),
    entries: firstOf(rows, limit, worstFirst).map(({ entry }) => entry),
  }
}

export function worstFirst(
  a: Pick<AttentionRow, 'severity' | 'weight'>,
  b: Pick<AttentionRow, 'severity' | 'weight'>,
): number {
  return b.severity - a.severity || b.weight - a.weight
}
