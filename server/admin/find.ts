import type { QueueSort, QueuesFound } from '../../shared/queues.ts'
import type {
  ConnectionInfo,
  ConnectionSort,
  ConnectionsFound,
  StreamSort,
  StreamsFound,
  TopicInfo,
  TopicSort,
  TopicsFound,
} from '../../shared/sys.ts'
import type { Nodes } from '../bus/nodes.ts'
import type { Found, Ranked, Wanted } from '../bus/questions.ts'
import type { Monitor } from '../monitor/monitor.ts'
import { sumOfTopics } from '../monitor/sums.ts'
import { queueSeverity } from '../monitor/trouble.ts'
import { inTurns } from '../monitor/turns.ts'
import type { QueueFigures, Queues } from '../queue/queues.ts'
import type { Connections } from '../registry/connections.ts'
import { firstOf } from '../registry/first-of.ts'
import type { StreamFigures, Streams } from '../stream/streams.ts'
import { describe } from './list-named.ts'

/** How to build a list from items: visibility, filter, and sort order. */
interface Listed<Item> {
  sees?(item: Item): boolean
  /** Whether the filter, in lower case, matches. */
  matches(item: Item, filter: string): boolean
  /** The highest weight comes first. */
  weight(item: Item): number
  /** Sorts items of equal weight, ascending. */
  name(item: Item): string
}

/** Items checked per turn of the event loop. */
const AT_ONCE = 500
/** Up to this rank only the first items are sorted; beyond it, all. */
const FIRST = 2000

/** One page of a list. The whole list is filtered and sorted, but only this page is described. */
async function find<Item>(
  items: Iterable<Item>,
  { filter, reverse, from, limit }: Omit<Wanted<string>, 'sort'>,
  listed: Listed<Item>,
): Promise<Found<Item>> {
  const text = filter.toLowerCase()
  let count = 0
  const ranked: Ranked<Item>[] = []
  for await (const some of inTurns(items, AT_ONCE)) {
    for (const item of some) {
      if (listed.sees && !listed.sees(item)) continue
      count++
      if (text !== '' && !listed.matches(item, text)) continue
      ranked.push({ item, weight: listed.weight(item), name: listed.name(item) })
    }
  }
  const end = from + limit
  const first = end <= FIRST ? firstOf(ranked, end, orderOf(reverse)) : ranked.sort(orderOf(reverse))
  return { count, matching: ranked.length, found: first.slice(from, end) }
}

function orderOf(reverse: boolean): (a: Ranked<unknown>, b: Ranked<unknown>) => number {
  const sign = reverse ? -1 : 1
  return (a, b) => sign * (b.weight - a.weight || compare(a.name, b.name))
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Selects the names that the client can see; undefined for none. */
type Sees = ((name: string) => boolean) | undefined

/** A queue with a higher severity always outweighs one with a lower severity. */
const SEVERITY_WEIGHT = 2 ** 48

export async function findQueues(
  { queues, monitor, clock }: { readonly queues: Queues; readonly monitor: Monitor; readonly clock: { now(): number } },
  { sort, history, ...wanted }: Wanted<QueueSort> & { readonly history: boolean },
  sees: Sees,
): Promise<QueuesFound> {
  const now = clock.now()
  const { count, matching, found } = await find(sees ? queues.names : [], wanted, {
    sees: (name) => sees?.(name) ?? false,
    matches: (name, filter) => has(filter, name) || queues.topicsOf(name).some((topic) => has(filter, topic)),
    weight: (name) => {
      const figures = queues.figures(name)
      return figures ? queueWeight(figures, sort, now) : 0
    },
    name: (name) => name,
  })
  const rows = await describe(queues, itemsOf(found))
  return {
    count,
    matching,
    queues: rows.map((info) => (history ? { ...info, history: monitor.recent('queue', info.name) } : info)),
  }
}

function queueWeight(figures: QueueFigures, sort: QueueSort, now: number): number {
  const { state, rates, consumers } = figures
  switch (sort) {
    case 'trouble':
      return queueSeverity(figures) * SEVERITY_WEIGHT + state.ready
    case 'name':
      return 0
    case 'readyAgeMs':
      return state.oldestReadyAt === undefined ? 0 : now - state.oldestReadyAt
    case 'consumers':
      return consumers
    case 'publishedPerSecond':
    case 'ackedPerSecond':
    case 'wantedConsumers':
      return rates[sort]
    default:
      return state[sort]
  }
}

export async function findStreams(
  { streams, monitor }: { readonly streams: Streams; readonly monitor: Monitor },
  { sort, history, ...wanted }: Wanted<StreamSort> & { readonly history: boolean },
  sees: Sees,
): Promise<StreamsFound> {
  const { count, matching, found } = await find(sees ? streams.names : [], wanted, {
    sees: (name) => sees?.(name) ?? false,
    matches: (name, filter) =>
      has(filter, name) || streams.topicsOf(name).some((words) => has(filter, words.join('.'))),
    weight: (name) => {
      const figures = streams.figures(name)
      return figures ? streamWeight(figures, sort) : 0
    },
    name: (name) => name,
  })
  const rows = await describe(streams, itemsOf(found))
  return {
    count,
    matching,
    streams: rows.map((info) => (history ? { ...info, history: monitor.recent('stream', info.name) } : info)),
  }
}

function streamWeight({ state, publishedPerSecond }: StreamFigures, sort: StreamSort): number {
  if (sort === 'name') return 0
  if (sort === 'publishedPerSecond') return publishedPerSecond
  return sort === 'newestAt' ? state.newestTime : state[sort]
}

/** The connections of this node. */
export async function ownConnections(
  { connections }: { readonly connections: Connections },
  { sort, ...wanted }: Wanted<ConnectionSort>,
): Promise<Found<ConnectionInfo>> {
  const { count, matching, found } = await find(connections.all, wanted, {
    matches: (connection, filter) => connection.mentions(filter),
    weight: (connection) => connections.weigh(connection, sort),
    name: (connection) => connections.nameFor(connection, sort),
  })
  return { count, matching, found: found.map((row) => ({ ...row, item: connections.describe(row.item) })) }
}

/** The topics of this node. */
export function ownTopics(
  { monitor }: { readonly monitor: Monitor },
  wanted: Wanted<TopicSort>,
): Promise<Found<TopicInfo>> {
  return topicsAmong(monitor.topicInfos(), wanted)
}

function topicsAmong(topics: Iterable<TopicInfo>, { sort, ...wanted }: Wanted<TopicSort>): Promise<Found<TopicInfo>> {
  return find(topics, wanted, {
    matches: ({ topic }, filter) => has(filter, topic),
    weight: (info) => (sort === 'name' ? 0 : info[sort]),
    name: ({ topic }) => topic,
  })
}

export async function findConnections(nodes: Nodes, wanted: Wanted<ConnectionSort>): Promise<ConnectionsFound> {
  const asked = forAll(nodes, wanted)
  const { answers, coverage } = await nodes.survey('connections.find', asked)
  const found = answers.flatMap((answer) => answer.found).sort(orderOf(wanted.reverse))
  const from = wanted.from - asked.from
  return { ...counted(answers), ...coverage, connections: itemsOf(found.slice(from, from + wanted.limit)) }
}

/** The figures of a topic are the sum over the nodes that return it. Nodes on which it is rarely published to may not return it. */
export async function findTopics(nodes: Nodes, wanted: Wanted<TopicSort>): Promise<TopicsFound> {
  const asked = forAll(nodes, wanted)
  const { answers, coverage } = await nodes.survey('topics.find', asked)
  const topics = sumOfTopics(answers.flatMap(({ found }) => itemsOf(found)))
  const { found } = await topicsAmong(topics, { ...wanted, from: wanted.from - asked.from })
  return { ...counted(answers), ...coverage, topics: itemsOf(found) }
}

/**
 * The question for each node. With several nodes, each returns everything up to the end of the page, because the whole page may be
 * on any of them.
 */
function forAll<Sort extends string>(nodes: Nodes, wanted: Wanted<Sort>): Wanted<Sort> {
  return nodes.alone ? wanted : { ...wanted, from: 0, limit: wanted.from + wanted.limit }
}

function counted(answers: readonly Found<unknown>[]): { count: number; matching: number } {
  return {
    count: answers.reduce((sum, { count }) => sum + count, 0),
    matching: answers.reduce((sum, { matching }) => sum + matching, 0),
  }
}

function itemsOf<Item>(found: readonly Ranked<Item>[]): Item[] {
  return found.map(({ item }) => item)
}

function has(filter: string, text: string): boolean {
  return text.toLowerCase().includes(filter)
}
