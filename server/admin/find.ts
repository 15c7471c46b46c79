import type { QueueSort, QueuesFound } from '../../shared/queues.ts'
import type {
  ConnectionSort,
  ConnectionsFound,
  StreamSort,
  StreamsFound,
  TopicSort,
  TopicsFound,
} from '../../shared/sys.ts'
import type { Monitor } from '../monitor/monitor.ts'
import { queueSeverity } from '../monitor/trouble.ts'
import { inTurns } from '../monitor/turns.ts'
import type { QueueFigures, Queues } from '../queue/queues.ts'
import type { Connections } from '../registry/connections.ts'
import { firstOf } from '../registry/first-of.ts'
import type { StreamFigures, Streams } from '../stream/streams.ts'
import { describe } from './list-named.ts'

/** Which part of a list is wanted, checked and complete. */
export interface Wanted<Sort extends string> {
  readonly filter: string
  readonly sort: Sort
  readonly reverse: boolean
  readonly from: number
  readonly limit: number
}

/** What a list is made of, item by item: whether the client may see it, whether a filter finds it, and its place. */
interface Listed<Item> {
  sees?(item: Item): boolean
  /** Given a filter in lower case. */
  matches(item: Item, filter: string): boolean
  /** The highest comes first. */
  weight(item: Item): number
  /** Comes first among equals, from A on. */
  name(item: Item): string
}

interface Ranked<Item> {
  readonly item: Item
  readonly weight: number
  readonly name: string
}

/** Items that are looked at in one turn of the event loop. */
const AT_ONCE = 500
/** Up to this rank, only the first ones are sorted. */
const FIRST = 2000

/** A part of a list in its order; the whole is filtered and sorted, and only this part has to be described. */
async function find<Item>(
  items: Iterable<Item>,
  { filter, reverse, from, limit }: Omit<Wanted<string>, 'sort'>,
  listed: Listed<Item>,
): Promise<{ count: number; matching: number; found: Item[] }> {
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
  const sign = reverse ? -1 : 1
  const order = (a: Ranked<Item>, b: Ranked<Item>) => sign * (b.weight - a.weight || compare(a.name, b.name))
  const end = from + limit
  const first = end <= FIRST ? firstOf(ranked, end, order) : ranked.sort(order)
  return { count, matching: ranked.length, found: first.slice(from, end).map(({ item }) => item) }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Selects the names that the client can see; undefined: none. */
type Sees = ((name: string) => boolean) | undefined

/** Any queue in greater trouble weighs more than any in less. */
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
  const rows = await describe(queues, found)
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
  const rows = await describe(streams, found)
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

export async function findConnections(
  { connections }: { readonly connections: Connections },
  { sort, ...wanted }: Wanted<ConnectionSort>,
): Promise<ConnectionsFound> {
  const { count, matching, found } = await find(connections.all, wanted, {
    matches: (connection, filter) => connection.mentions(filter),
    weight: (connection) => connections.weigh(connection, sort),
    name: (connection) => connections.nameFor(connection, sort),
  })
  return { count, matching, connections: found.map((connection) => connections.describe(connection)) }
}

export async function findTopics(
  { monitor }: { readonly monitor: Monitor },
  { sort, ...wanted }: Wanted<TopicSort>,
): Promise<TopicsFound> {
  const { count, matching, found } = await find(monitor.topicInfos(), wanted, {
    matches: ({ topic }, filter) => has(filter, topic),
    weight: (info) => (sort === 'name' ? 0 : info[sort]),
    name: ({ topic }) => topic,
  })
  return { count, matching, topics: found }
}

function has(filter: string, text: string): boolean {
  return text.toLowerCase().includes(filter)
}
