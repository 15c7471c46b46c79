import { setImmediate } from 'node:timers/promises'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { ERRORS, type ErrorCode } from '../../shared/errors.ts'
import type { QueueInfo } from '../../shared/queues.ts'
import type { StreamStatus } from '../../shared/sys.ts'
import type { CommitStats } from '../broker/broker.ts'
import { PLACES } from '../failure/unexpected-errors.ts'
import type { Monitor, Watched } from './monitor.ts'
import { inTurns } from './turns.ts'

/** Number of queues, and of streams, that have series of their own: the first ones. */
export const LABELLED = 1000
/** Of those, how many are looked at in one turn of the event loop. */
const AT_ONCE = 100

const COMMIT_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
const COMMIT_OPERATIONS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000]

/**
 * A hub for Prometheus. Values are read when it asks, from what is counted anyway; only a commit is observed when it
 * happens. Labels are names of queues and streams, reasons and codes: never a topic or a connection, of which there
 * is no bound.
 */
export class Metrics {
  readonly contentType: string
  private readonly registry = new Registry()
  private readonly watched: Watched
  private readonly commitSeconds: Histogram
  private readonly commitOperations: Histogram
  /** As of this scrape. */
  private queues: readonly QueueInfo[] = []
  private streams: readonly StreamStatus[] = []

  constructor(watched: Watched, monitor: Monitor) {
    this.watched = watched
    this.contentType = this.registry.contentType
    this.declareHub()
    this.declareTraffic()
    this.declareCluster()
    this.declareLimits()
    this.declareQueues()
    this.declareStreams()
    this.declareProcess(monitor)
    this.commitSeconds = new Histogram({
      name: 'fanfare_commit_duration_seconds',
      help: 'Time from handing a group to the store until it is safe, the sync to the disk included.',
      buckets: COMMIT_SECONDS,
      registers: [this.registry],
    })
    this.commitOperations = new Histogram({
      name: 'fanfare_commit_operations',
      help: 'Publishes, acks and other ends of leases in one commit.',
      buckets: COMMIT_OPERATIONS,
      registers: [this.registry],
    })
  }

  committed({ seconds, operations }: CommitStats): void {
    this.commitSeconds.observe(seconds)
    this.commitOperations.observe(operations)
  }

  /** Everything, in the text format of Prometheus. */
  async scrape(): Promise<string> {
    const { queues, streams } = this.watched
    this.queues = await inSlices(queues.names, (names) => queues.list(names))
    this.streams = await inSlices(streams.names, (names) => streams.list(names))
    const families: string[] = []
    for (const { name } of this.registry.getMetricsAsArray()) {
      families.push(await this.registry.getSingleMetricAsString(name))
      // A thousand queues take time: the hub does other work in between.
      await setImmediate()
    }
    return `${families.join('\n')}\n`
  }

  private declareTraffic(): void {
    const { topics, traffic } = this.watched
    this.counter('fanfare_messages_published_total', 'Messages published.', () => topics.publishedTotal)
    this.counter('fanfare_messages_delivered_total', 'Messages handed to connections.', () => traffic.deliveredTotal)
    this.labelledCounter('fanfare_messages_dropped_total', 'Messages left out for a subscription.', ['reason'], () =>
      Object.entries(traffic.dropped).map(([reason, count]) => [[reason], count]),
    )
    this.counter(
      'fanfare_received_bytes_total',
      'Bytes of WebSocket messages, and of requests that publish, received.',
      () => traffic.bytesIn,
    )
    this.counter('fanfare_sent_bytes_total', 'Bytes of WebSocket messages sent.', () => traffic.bytesOut)
  }

  private declareHub(): void {
    const { version, topics, streams, queues, connections, traffic, subscriptionBudget } = this.watched
    const { certificateExpiresAt, httpConnections } = this.watched
    const leftOut = (count: number) => Math.max(0, count - LABELLED)
    this.labelledGauge('fanfare_build_info', 'Always 1.', ['version'], () => [[[version], 1]])
    this.gauge('fanfare_connections', 'Connections that are open.', () => connections.count)
    this.gauge('fanfare_http_connections', 'Connections that speak HTTP now.', () => httpConnections())
    this.gauge('fanfare_connections_behind', 'Connections whose outbox is not empty.', () => connections.behind)
    this.counter('fanfare_connections_opened_total', 'Connections that were opened.', () => traffic.connectionsTotal)
    this.gauge('fanfare_subscriptions', 'Subscriptions of all connections.', () => topics.subscriptionCount)
    this.gauge(
      'fanfare_subscription_bytes',
      'Estimated memory of all subscriptions, consumers and offers to respond.',
      () => subscriptionBudget.bytes,
    )
    this.gauge(
      'fanfare_subscription_limit_bytes',
      'Maximum of this estimate; 0 for no limit.',
      () => subscriptionBudget.limit,
    )
    this.gauge('fanfare_topics', 'Topics that the hub remembers.', () => topics.topicCount)
    this.gauge('fanfare_queues', 'Queues that are declared.', () => queues.count)
    this.gauge('fanfare_queues_left_out', `Queues beyond ${LABELLED}, without series.`, () => leftOut(queues.count))
    this.gauge('fanfare_streams', 'Streams that are declared.', () => streams.count)
    this.gauge('fanfare_streams_left_out', `Streams beyond ${LABELLED}, without series.`, () => leftOut(streams.count))
    // No series without TLS.
    this.labelledGauge(
      'fanfare_tls_certificate_expires_timestamp_seconds',
      'End of the certificate that new connections get, since 1970.',
      [],
      () => {
        const expiresAt = certificateExpiresAt()
        return expiresAt === undefined ? [] : [[[], expiresAt / 1000]]
      },
    )
  }

  private declareCluster(): void {
    const { nodes } = this.watched
    this.gauge('fanfare_nodes', 'Hubs of the cluster that this one sees, itself included.', () => nodes.count)
    this.gauge('fanfare_cluster_cut_off', '1 while the hub is cut off from the others of its cluster.', () =>
      nodes.isCutOff ? 1 : 0,
    )
    this.counter(
      'fanfare_cluster_reconnections_total',
      'Times that the hub came back after it was cut off from the others of its cluster.',
      () => nodes.reconnections,
    )
  }

  private declareLimits(): void {
    const { traffic, budget, broker, unexpected } = this.watched
    this.gauge('fanfare_outbox_bytes', 'Bytes held by all outboxes.', () => budget.bytes)
    this.gauge('fanfare_outbox_limit_bytes', 'Bytes that all outboxes may hold.', () => budget.limit)
    this.gauge('fanfare_waiting_publishes', 'Publishes that wait for room in queues.', () => broker.waiting.count)
    this.gauge('fanfare_waiting_publish_bytes', 'Bytes of these publishes.', () => broker.waiting.bytes)
    this.gauge(
      'fanfare_waiting_publish_limit_bytes',
      'Maximum bytes of publishes that wait; 0 for no limit.',
      () => broker.waiting.limitBytes,
    )
    this.labelledCounter('fanfare_limit_hits_total', 'Connections and frames beyond a limit.', ['limit'], () =>
      Object.entries(traffic.limitHits).map(([limit, count]) => [[limit], count]),
    )
    this.labelledCounter(
      'fanfare_unexpected_errors_total',
      'Bugs of the hub, by what they have cost: one connection, one request, or unknown (process).',
      ['where'],
      () => PLACES.map((place) => [[place], unexpected.counts[place]]),
    )
    this.labelledCounter(
      'fanfare_errors_total',
      'Errors sent to clients over WebSocket, and refused upgrades.',
      ['code'],
      () =>
        // Codes without errors too: Prometheus does not count a new series that starts at 1 as an increase.
        (Object.keys(ERRORS) as ErrorCode[]).map((code) => [[code], traffic.errors[code] ?? 0]),
    )
  }

  private declareQueues(): void {
    const each = (value: (queue: QueueInfo) => number) => () =>
      this.queues.map((queue): Series => [[queue.name], value(queue)])
    const gauge = (name: string, help: string, value: (queue: QueueInfo) => number) =>
      this.labelledGauge(`fanfare_queue_${name}`, help, ['queue'], each(value))
    const counter = (name: string, help: string, value: (queue: QueueInfo) => number) =>
      this.labelledCounter(`fanfare_queue_${name}`, help, ['queue'], each(value))
    gauge('depth', 'Messages that wait, those that are delayed included.', ({ depth }) => depth)
    gauge('ready', 'Of those that wait, the ones that are due.', ({ ready }) => ready)
    gauge('delayed', 'Of those that wait, the ones whose time has not come.', ({ delayed }) => delayed)
    gauge('in_flight', 'Messages on lease.', ({ inFlight }) => inFlight)
    gauge('bytes', 'Bytes of the messages that wait and are on lease.', ({ bytes }) => bytes)
    gauge('oldest_age_seconds', 'Age of the oldest message that waits.', ({ oldestAgeMs }) => oldestAgeMs / 1000)
    gauge(
      'ready_age_seconds',
      'Time that the oldest ready message has been due.',
      ({ readyAgeMs }) => readyAgeMs / 1000,
    )
    gauge('waiting_publishes', 'Publishes that wait for room.', ({ waitingPublishes }) => waitingPublishes)
    gauge('waiting_publish_bytes', 'Bytes of these publishes.', ({ waitingPublishBytes }) => waitingPublishBytes)
    gauge('dead_letters', 'Dead letters.', ({ deadLetters }) => deadLetters)
    gauge('parked_groups', 'Groups that wait for an operator.', ({ parked, parkedMore }) => parked.length + parkedMore)
    gauge('consumers', 'Consumers that are connected.', ({ consumers }) => consumers)
    gauge(
      'wanted_consumers',
      'Consumers that would keep up, and have what is ready done in ten seconds.',
      ({ wantedConsumers }) => wantedConsumers,
    )
    gauge('keep_up_consumers', 'Consumers that would keep up.', ({ keepUpConsumers }) => keepUpConsumers)
    gauge(
      'growing',
      '1 where what is due has grown for half a minute and never shrunk; until nothing comes in for as long.',
      ({ growing }) => (growing ? 1 : 0),
    )
    counter('published_total', 'Messages that came in.', ({ publishedTotal }) => publishedTotal)
    counter('acked_total', 'Messages that were done.', ({ ackedTotal }) => ackedTotal)
    counter('redelivered_total', 'Deliveries that were not the first.', ({ redeliveredTotal }) => redeliveredTotal)
    counter('timed_out_total', 'Deliveries whose time ran out.', ({ timedOutTotal }) => timedOutTotal)
    counter('dropped_total', 'Messages that expired or made room.', ({ droppedTotal }) => droppedTotal)
    counter(
      'dead_letters_dropped_total',
      'Dead letters beyond maxDeadLetters.',
      ({ deadLettersDroppedTotal }) => deadLettersDroppedTotal,
    )
  }

  private declareStreams(): void {
    const each = (value: (stream: StreamStatus) => number) => () =>
      this.streams.map((stream): Series => [[stream.name], value(stream)])
    const gauge = (name: string, help: string, value: (stream: StreamStatus) => number) =>
      this.labelledGauge(`fanfare_stream_${name}`, help, ['stream'], each(value))
    gauge('messages', 'Messages that can be read.', ({ messages }) => messages)
    gauge('bytes', 'Bytes kept.', ({ bytes }) => bytes)
    gauge('cursors', 'Cursors stored; cursorsPerStream bounds them.', ({ cursorCount }) => cursorCount)
    gauge(
      'oldest_timestamp_seconds',
      'Time of the oldest message, 0 where there is none.',
      ({ oldestAt = 0 }) => oldestAt / 1000,
    )
    this.labelledCounter(
      'fanfare_stream_published_total',
      'Messages since it was declared.',
      ['stream'],
      each(({ next }) => next),
    )
  }

  /**
   * By the names that Prometheus clients agree on. Those that the library collects by itself leave an observer behind
   * with each hub of the process.
   */
  private declareProcess(monitor: Monitor): void {
    const startedAt = Date.now() / 1000 - process.uptime()
    this.counter('process_cpu_seconds_total', 'Processor time.', () => {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1e6
    })
    this.gauge('process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss())
    this.gauge(
      'fanfare_clock_offset_seconds',
      "How far the machine's clock is before the time that the hub counts on from its start.",
      () => monitor.clockOffsetMs / 1000,
    )
    this.gauge('process_start_time_seconds', 'Start of the process, since 1970.', () => startedAt)
    this.gauge('nodejs_heap_size_used_bytes', 'Memory of JavaScript in use.', () => process.memoryUsage().heapUsed)
    this.gauge(
      'fanfare_event_loop_delay_seconds',
      'How late the event loop was in the last second, 99th percentile.',
      () => monitor.eventLoopDelaySeconds,
    )
  }

  private gauge(name: string, help: string, value: () => number): void {
    this.labelledGauge(name, help, [], () => [[[], value()]])
  }

  private counter(name: string, help: string, value: () => number): void {
    this.labelledCounter(name, help, [], () => [[[], value()]])
  }

  private labelledGauge(name: string, help: string, labelNames: string[], values: () => Series[]): void {
    const collect = () => {
      gauge.reset()
      // Without labels it would else be 0, also where there is no value.
      if (labelNames.length === 0) gauge.remove()
      for (const [labels, value] of values()) gauge.labels(...labels).set(value)
    }
    const gauge: Gauge = new Gauge({ name, help, labelNames, registers: [this.registry], collect })
  }

  /** What has been counted elsewhere. */
  private labelledCounter(name: string, help: string, labelNames: string[], values: () => Series[]): void {
    const collect = () => {
      counter.reset()
      for (const [labels, value] of values()) counter.labels(...labels).inc(value)
    }
    const counter: Counter = new Counter({ name, help, labelNames, registers: [this.registry], collect })
  }
}

/** What there is to say of the first names. */
async function inSlices<Info>(names: Iterable<string>, list: (names: readonly string[]) => Promise<Info[]>) {
  const infos: Info[] = []
  for await (const some of inTurns(names, AT_ONCE)) {
    infos.push(...(await list(some.slice(0, LABELLED - infos.length))))
    if (infos.length >= LABELLED) break
  }
  return infos
}

/** Values of the labels, and the value. */
type Series = readonly [labels: string[], value: number]
