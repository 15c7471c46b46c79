import type { Logger } from 'pino'
import { type Clock, type Timer, wallTime } from '../../shared/clock.ts'
import { QUEUE_STATUS_TOPIC } from '../../shared/queues.ts'
import {
  CONNECTIONS_STATUS_TOPIC,
  type History,
  type HistoryParams,
  type HistoryRange,
  HUB_STATUS_TOPIC,
  type HubInfo,
  NODES_STATUS_TOPIC,
  type NodeInfo,
  STREAM_STATUS_TOPIC,
  TOPICS_STATUS_TOPIC,
  type TopicInfo,
  type TopicsStatus,
} from '../../shared/sys.ts'
import type { Broker } from '../broker/broker.ts'
import type { Nodes } from '../bus/nodes.ts'
import type { UnexpectedErrors } from '../failure/unexpected-errors.ts'
import type { MessageLimits } from '../limit/message-limits.ts'
import type { Queues } from '../queue/queues.ts'
import type { Connections } from '../registry/connections.ts'
import { firstOf } from '../registry/first-of.ts'
import type { Streams } from '../stream/streams.ts'
import type { Topics } from '../topic/topics.ts'
import { Timeline } from './history.ts'
import { Overview } from './overview.ts'
import { ProcessUsage } from './process-usage.ts'
import { busiestFirst, rounded } from './sums.ts'
import type { Traffic } from './traffic.ts'
import { inTurns } from './turns.ts'

/** How often the hub is sampled. */
const SAMPLE_MS = 1000
/** Log when the machine's clock has moved by this much, in milliseconds. */
const OFFSET_LOGGED_MS = 5_000
/** Number of connections and topics in the status messages. */
const SLOWEST = 50
const BUSIEST = 100
/** Queues, and streams, sampled per turn of the event loop. */
const AT_ONCE = 200

/** What the monitor watches. */
export interface Watched {
  readonly version: string
  readonly nodes: Nodes
  readonly topics: Topics
  readonly streams: Streams
  readonly queues: Queues
  readonly connections: Connections
  readonly traffic: Traffic
  readonly limits: MessageLimits
  /** Size of all outboxes now, and its limit. */
  readonly budget: { readonly bytes: number; readonly limit: number }
  /** Memory of all subscriptions, consumers and responders now, and its limit. */
  readonly subscriptionBudget: { readonly bytes: number; readonly limit: number }
  readonly broker: Pick<Broker, 'waiting' | 'failure' | 'failedCommits' | 'remote'>
  readonly unexpected: UnexpectedErrors
  /** Host and port that the hub listens on; undefined while it does not listen. */
  address(): string | undefined
  /** Number of open HTTP connections. */
  httpConnections(): number
  /** In milliseconds since 1970; undefined without TLS. */
  certificateExpiresAt(): number | undefined
  readonly log: Logger
  readonly clock: Clock
}

interface Totals {
  readonly published: number
  readonly delivered: number
  readonly dropped: number
  readonly bytesIn: number
  readonly bytesOut: number
}

/**
 * Samples this node once a second: computes rates, and publishes the status of all nodes together on `$sys` topics. Topics without
 * subscribers are not computed.
 */
export class Monitor {
  private readonly watched: Watched
  private readonly usage = new ProcessUsage()
  private readonly timeline = new Timeline()
  /** By range for the hub as a whole; by name for queues and streams. */
  private readonly histories = {
    hub: this.timeline.histories(['publishedPerSecond', 'deliveredPerSecond']),
    queue: this.timeline.histories(['ready', 'publishedPerSecond', 'ackedPerSecond']),
    stream: this.timeline.histories(['publishedPerSecond']),
  }
  /** The hub with all its nodes. */
  readonly overview: Overview
  /** The engine that serves the hub's port; `none` for a hub that does not listen. */
  engine = 'none'
  private startedAt = 0
  private timer: Timer | undefined = undefined
  private sampledAt = 0
  private sampling = false
  private before: Totals
  /** Rates of the last second. */
  private rates: Totals = { published: 0, delivered: 0, dropped: 0, bytesIn: 0, bytesOut: 0 }

  /** The offset that was logged last. */
  private offsetLogged = 0

  constructor(watched: Watched) {
    this.watched = watched
    this.overview = new Overview(watched.nodes)
    this.before = this.totals()
    watched.queues.onDelete = (name) => this.histories.queue.forget(name)
    watched.streams.onDelete = (name) => this.histories.stream.forget(name)
  }

  start(): void {
    const { clock } = this.watched
    this.startedAt = clock.now()
    this.sampledAt = this.startedAt
    this.usage.start()
    this.timer = clock.setInterval(() => void this.look(), SAMPLE_MS).unref()
  }

  stop(): void {
    this.watched.clock.clearInterval(this.timer)
    this.timer = undefined
    this.usage.stop()
  }

  get node(): NodeInfo {
    const address = this.watched.address()
    return { ...this.watched.nodes.own, ...(address !== undefined && { address }) }
  }

  /** This node of the hub. */
  hub(): HubInfo {
    const { version, topics, streams, queues, connections, traffic, budget, unexpected, broker } = this.watched
    const { published, delivered, dropped, bytesIn, bytesOut } = this.rates
    return {
      version,
      engine: this.engine,
      node: this.node,
      nodes: 1,
      startedAt: this.startedAt,
      connections: connections.count,
      subscriptions: topics.subscriptionCount,
      streams: streams.count,
      queues: queues.count,
      topics: topics.topicCount,
      publishedTotal: topics.publishedTotal,
      publishedPerSecond: rounded(published),
      deliveredTotal: traffic.deliveredTotal,
      deliveredPerSecond: rounded(delivered),
      bytesInPerSecond: Math.round(bytesIn),
      bytesOutPerSecond: Math.round(bytesOut),
      droppedTotal: { ...traffic.dropped },
      droppedPerSecond: rounded(dropped),
      outboxBytes: budget.bytes,
      outboxTotalBytes: budget.limit,
      waitingPublishes: broker.waiting.count,
      waitingPublishBytes: broker.waiting.bytes,
      waitingPublishLimitBytes: broker.waiting.limitBytes,
      memoryBytes: process.memoryUsage.rss(),
      cpu: rounded(this.usage.cpu),
      eventLoopDelayMs: rounded(this.usage.eventLoopDelayMs),
      unexpectedErrorsTotal: unexpected.total,
    }
  }

  get eventLoopDelaySeconds(): number {
    return this.usage.eventLoopDelayMs / 1000
  }

  /** Why the hub cannot store anything until it is restarted. */
  get storageFailure(): string | undefined {
    return this.watched.broker.failure
  }

  /** Why the hub cannot use the broker now. */
  get brokerCutOff(): string | undefined {
    return this.watched.broker.remote?.cutOff
  }

  /** Whether this node has lost contact with the others. */
  get isCutOff(): boolean {
    return this.watched.nodes.isCutOff
  }

  /** The history of a figure. */
  history(of: HistoryParams['of'], name: string, range: HistoryRange): History {
    return this.histories[of].read(name, range)
  }

  /** The last five minutes for a row of a list: `ready` of a queue, the rate of a stream. */
  recent(of: 'queue' | 'stream', name: string): readonly number[] {
    return this.histories[of].peaks(name, 0)
  }

  /** All topics that the hub remembers. */
  *topicInfos(): Iterable<TopicInfo> {
    for (const [topic, { publishedPerSecond, publishedTotal }] of this.watched.topics.counts) {
      yield { topic, publishedPerSecond: rounded(publishedPerSecond), publishedTotal }
    }
  }

  topics(most: number): TopicsStatus {
    const { topics } = this.watched
    const busiest = firstOf(topics.counts, most, ([, a], [, b]) => busiestFirst(a, b))
    return {
      count: topics.topicCount,
      busiest: busiest.map(([topic, { publishedPerSecond, publishedTotal }]) => ({
        topic,
        publishedPerSecond: rounded(publishedPerSecond),
        publishedTotal,
      })),
    }
  }

  private async look(): Promise<void> {
    // A broker that answers slowly is asked again once it has answered.
    if (this.sampling) return
    this.sampling = true
    try {
      await this.sample()
    } catch (error) {
      this.watched.unexpected.report('timer', error)
    } finally {
      this.sampling = false
    }
  }

  private async sample(): Promise<void> {
    const { topics, streams, clock } = this.watched
    const elapsed = clock.now() - this.sampledAt
    this.sampledAt += elapsed
    // The machine's clock may be set back.
    const seconds = (elapsed > 0 ? elapsed : SAMPLE_MS) / 1000
    this.rate(seconds)
    this.usage.sample(seconds)
    this.compareClocks()
    this.shareLimits()
    topics.sample(seconds)
    streams.sample(seconds)
    this.timeline.tick(clock.now())
    this.histories.hub.record('', this.rates.published, this.rates.delivered)
    for (const { name, publishedPerSecond } of streams.rates) this.histories.stream.record(name, publishedPerSecond)
    await Promise.all([
      this.say(HUB_STATUS_TOPIC, () => this.overview.hub()),
      this.say(NODES_STATUS_TOPIC, () => this.overview.eachNode()),
      this.say(CONNECTIONS_STATUS_TOPIC, () => this.overview.slowest(SLOWEST)),
      this.say(TOPICS_STATUS_TOPIC, () => this.overview.topics(BUSIEST)),
    ])
    await this.sampleQueues(seconds)
    await this.sayStreams()
  }

  private shareLimits(): void {
    const { nodes, limits } = this.watched
    // Also without other nodes: a node that joins later must not receive everything from before.
    const spent = limits.takeSpent()
    if (spent.length > 0) void nodes.askOthers('limits.spent', spent)
  }

  private async sampleQueues(seconds: number): Promise<void> {
    const { queues } = this.watched
    const isHeard = this.listenersOf(QUEUE_STATUS_TOPIC)
    for await (const names of inTurns(queues.names, AT_ONCE)) {
      const active = names.filter((name) => !queues.isAtRest(name))
      queues.sample(active, seconds)
      queues.addShares(names)
      for (const name of active) {
        const figures = queues.figures(name)
        if (!figures) continue
        const { publishedPerSecond, ackedPerSecond } = figures.rates
        this.histories.queue.record(name, figures.state.ready, publishedPerSecond, ackedPerSecond)
      }
      for (const info of await queues.list(names.filter(isHeard))) this.announce(QUEUE_STATUS_TOPIC + info.name, info)
    }
    void queues.reportShares()
  }

  private async sayStreams(): Promise<void> {
    const { streams } = this.watched
    const isHeard = this.listenersOf(STREAM_STATUS_TOPIC)
    for await (const names of inTurns(streams.names, AT_ONCE)) {
      for (const info of await streams.list(names.filter(isHeard))) this.announce(STREAM_STATUS_TOPIC + info.name, info)
    }
  }

  /** Whether the status topic of a name has subscribers. Usually no status topic has any, and then no name has to be matched. */
  private listenersOf(prefix: string): (name: string) => boolean {
    const { topics } = this.watched
    if (!topics.isHeardBelow(prefix.slice(0, -1))) return () => false
    return (name) => topics.isHeard(prefix + name)
  }

  /** How far the machine's clock is ahead of the hub's time, which runs on from its start, in milliseconds; 0 if they agree. */
  get clockOffsetMs(): number {
    const { clock } = this.watched
    return wallTime(clock) - clock.now()
  }

  private compareClocks(): void {
    const { clockOffsetMs } = this
    if (Math.abs(clockOffsetMs - this.offsetLogged) < OFFSET_LOGGED_MS) return
    this.offsetLogged = clockOffsetMs
    this.watched.log.warn(
      { clockOffsetMs },
      "the machine's clock was changed: the hub's times differ from it until a restart",
    )
  }

  private async say(topic: string, data: () => Promise<unknown>): Promise<void> {
    if (this.watched.topics.isHeard(topic)) this.announce(topic, await data())
  }

  private announce(topic: string, data: unknown): void {
    if (this.timer) this.watched.topics.announce(topic, data)
  }

  private rate(seconds: number): void {
    const { before } = this
    const now = this.totals()
    this.before = now
    this.rates = {
      published: (now.published - before.published) / seconds,
      delivered: (now.delivered - before.delivered) / seconds,
      dropped: (now.dropped - before.dropped) / seconds,
      bytesIn: (now.bytesIn - before.bytesIn) / seconds,
      bytesOut: (now.bytesOut - before.bytesOut) / seconds,
    }
  }

  private totals(): Totals {
    const { topics, traffic } = this.watched
    const { deliveredTotal: delivered, droppedTotal: dropped, bytesIn, bytesOut } = traffic
    return { published: topics.publishedTotal, delivered, dropped, bytesIn, bytesOut }
  }
}
