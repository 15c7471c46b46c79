import { setImmediate } from 'node:timers/promises'
import { Histogram, Registry } from 'prom-client'
import { ERRORS, type ErrorCode } from '../../shared/errors.ts'
import type { QueueInfo } from '../../shared/queues.ts'
import type { StreamStatus } from '../../shared/sys.ts'
import type { CommitStats } from '../broker/broker.ts'
import { PLACES } from '../failure/unexpected-errors.ts'
import { declareCluster, declareRedis } from './cluster-metrics.ts'
import { Families, type Series } from './families.ts'
import type { Monitor, Watched } from './monitor.ts'
import { inTurns } from './turns.ts'

/** Number of queues, and of streams, with their own series: the first ones. */
const LABELLED = 1000
/** How many of them are read per turn of the event loop. */
const AT_ONCE = 100

const COMMIT_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
const COMMIT_OPERATIONS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000]

/**
 * The metrics of a hub in the format of Prometheus. Values are read at each scrape from counters that exist anyway; only commits
 * are observed as they happen. Labels are names of queues and streams, reasons and codes, but never topics or connections, whose
 * number is unlimited.
 */
export class Metrics {
  readonly contentType: string
  private readonly registry = new Registry()
  private readonly families = new Families(this.registry)
  private readonly watched: Watched
  private readonly commitSeconds: Histogram
  private readonly commitOperations: Histogram
  /** As of the current scrape. */
  private queues: readonly QueueInfo[] = []
  private streams: readonly StreamStatus[] = []

  constructor(watched: Watched, monitor: Monitor) {
    this.watched = watched
    this.contentType = this.registry.contentType
    this.declareHub()
    this.declareTraffic()
    declareCluster(this.families, watched.nodes)
    declareRedis(this.families, watched.broker)
    this.declareLimits()
    this.declareQueues()
    this.declareStreams()
    this.declareProcess(monitor)
    this.commitSeconds = new Histogram({
      name: 'fanfare_commit_duration_seconds',
      help: 'Time from handing a group of changes to the store until it is durable, including the sync to disk.',
      buckets: COMMIT_SECONDS,
      registers: [this.registry],
    })
    this.commitOperations = new Histogram({
      name: 'fanfare_commit_operations',
      help: 'Publishes, acks and other settlements per commit.',
      buckets: COMMIT_OPERATIONS,
      registers: [this.registry],
    })
  }

  committed({ seconds, operations }: CommitStats): void {
    this.commitSeconds.observe(seconds)
    this.commitOperations.observe(operations)
  }

  /** All metrics in the text format of Prometheus. */
  async scrape(): Promise<string> {
    const { queues, streams } = this.watched
    this.queues = await inSlices(queues.names, (names) => queues.list(names))
    this.streams = await inSlices(streams.names, (names) => streams.list(names))
    const families: string[] = []
    for (const { name } of this.registry.getMetricsAsArray()) {
      families.push(await this.registry.getSingleMetricAsString(name))
      // A thousand queues take time, so the hub does other work in between.
      await setImmediate()
    }
    return `${families.join('\n')}\n`
  }

  private declareTraffic(): void {
    const { topics, traffic } = this.watched
    this.families.counter('fanfare_messages_published_total', 'Messages published.', () => topics.publishedTotal)
    this.families.counter(
      'fanfare_messages_delivered_total',
      'Messages delivered to connections.',
      () => traffic.deliveredTotal,
    )
    this.families.labelledCounter(
      'fanfare_messages_dropped_total',
      'Messages dropped for a subscription.',
      ['reason'],
      () => Object.entries(traffic.dropped).map(([reason, count]) => [[reason], count]),
    )
    this.families.counter(
      'fanfare_received_bytes_total',
      'Bytes received in WebSocket messages and in HTTP publish requests.',
      () => traffic.bytesIn,
    )
    this.families.counter('fanfare_sent_bytes_total', 'Bytes sent in WebSocket messages.', () => traffic.bytesOut)
  }

  private declareHub(): void {
    const { version, topics, streams, queues, connections, traffic, subscriptionBudget } = this.watched
    const { certificateExpiresAt, httpConnections } = this.watched
    const leftOut = (count: number) => Math.max(0, count - LABELLED)
    this.families.labelledGauge('fanfare_build_info', 'Always 1.', ['version'], () => [[[version], 1]])
    this.families.gauge('fanfare_connections', 'Open connections.', () => connections.count)
    this.families.gauge('fanfare_http_connections', 'Open HTTP connections.', () => httpConnections())
    this.families.gauge(
      'fanfare_connections_behind',
      'Connections whose outbox is not empty.',
      () => connections.behind,
    )
    this.families.counter('fanfare_connections_opened_total', 'Connections opened.', () => traffic.connectionsTotal)
    this.families.gauge('fanfare_subscriptions', 'Subscriptions of all connections.', () => topics.subscriptionCount)
    this.families.gauge(
      'fanfare_subscription_bytes',
      'Estimated memory of all subscriptions, consumers and responders.',
      () => subscriptionBudget.bytes,
    )
    this.families.gauge(
      'fanfare_subscription_limit_bytes',
      'Limit of this estimate; 0 for no limit.',
      () => subscriptionBudget.limit,
    )
    this.families.gauge('fanfare_topics', 'Topics that the hub remembers.', () => topics.topicCount)
    this.families.gauge('fanfare_queues', 'Declared queues.', () => queues.count)
    this.families.gauge(
      'fanfare_queues_left_out',
      `Queues beyond the first ${LABELLED}, which have no series of their own.`,
      () => leftOut(queues.count),
    )
    this.families.gauge('fanfare_streams', 'Declared streams.', () => streams.count)
    this.families.gauge(
      'fanfare_streams_left_out',
      `Streams beyond the first ${LABELLED}, which have no series of their own.`,
      () => leftOut(streams.count),
    )
    // No series if the hub does not serve TLS.
    this.families.labelledGauge(
      'fanfare_tls_certificate_expires_timestamp_seconds',
      'Expiry of the certificate that new connections get, in seconds since 1970.',
      [],
      () => {
        const expiresAt = certificateExpiresAt()
        return expiresAt === undefined ? [] : [[[], expiresAt / 1000]]
      },
    )
  }

  private declareLimits(): void {
    const { traffic, budget, broker, unexpected } = this.watched
    this.families.gauge('fanfare_outbox_bytes', 'Bytes in all outboxes.', () => budget.bytes)
    this.families.gauge('fanfare_outbox_limit_bytes', 'Limit for the bytes in all outboxes.', () => budget.limit)
    this.families.gauge(
      'fanfare_waiting_publishes',
      'Publishes waiting for space in full queues.',
      () => broker.waiting.count,
    )
    this.families.gauge(
      'fanfare_waiting_publish_bytes',
      'Bytes of the publishes waiting for space in full queues.',
      () => broker.waiting.bytes,
    )
    this.families.gauge(
      'fanfare_waiting_publish_limit_bytes',
      'Limit for the bytes of waiting publishes; 0 for no limit.',
      () => broker.waiting.limitBytes,
    )
    this.families.labelledCounter(
      'fanfare_limit_hits_total',
      'Connections and frames refused because of a limit.',
      ['limit'],
      () => Object.entries(traffic.limitHits).map(([limit, count]) => [[limit], count]),
    )
    this.families.labelledCounter('fanfare_failed_commits_total', 'Commits that have failed.', ['code'], () =>
      [...broker.failedCommits].map(([code, count]) => [[code], count]),
    )
    this.families.labelledCounter(
      'fanfare_unexpected_errors_total',
      'Bugs in the hub, by what they affected: one connection, one request, or unknown (process).',
      ['where'],
      () => PLACES.map((place) => [[place], unexpected.counts[place]]),
    )
    this.families.labelledCounter(
      'fanfare_errors_total',
      'Errors sent to WebSocket clients, and refused upgrades.',
      ['code'],
      () =>
        // Codes without errors are included, because Prometheus does not count a new series that starts at 1 as an increase.
        (Object.keys(ERRORS) as ErrorCode[]).map((code) => [[code], traffic.errors[code] ?? 0]),
    )
  }

  private declareQueues(): void {
    const each = (value: (queue: QueueInfo) => number) => () =>
      this.queues.map((queue): Series => [[queue.name], value(queue)])
    const gauge = (name: string, help: string, value: (queue: QueueInfo) => number) =>
      this.families.labelledGauge(`fanfare_queue_${name}`, help, ['queue'], each(value))
    const counter = (name: string, help: string, value: (queue: QueueInfo) => number) =>
      this.families.labelledCounter(`fanfare_queue_${name}`, help, ['queue'], each(value))
    gauge('depth', 'Waiting messages, delayed ones included.', ({ depth }) => depth)
    gauge('ready', 'Waiting messages that are due.', ({ ready }) => ready)
    gauge('delayed', 'Waiting messages that are not due yet.', ({ delayed }) => delayed)
    gauge('in_flight', 'Messages delivered and not yet acked.', ({ inFlight }) => inFlight)
    gauge('bytes', 'Bytes of the waiting and in-flight messages.', ({ bytes }) => bytes)
    gauge('oldest_age_seconds', 'Age of the oldest waiting message.', ({ oldestAgeMs }) => oldestAgeMs / 1000)
    gauge('ready_age_seconds', 'Time since the oldest ready message became due.', ({ readyAgeMs }) => readyAgeMs / 1000)
    gauge('waiting_publishes', 'Publishes waiting for space in the queue.', ({ waitingPublishes }) => waitingPublishes)
    gauge(
      'waiting_publish_bytes',
      'Bytes of the publishes waiting for space in the queue.',
      ({ waitingPublishBytes }) => waitingPublishBytes,
    )
    gauge('dead_letters', 'Dead letters.', ({ deadLetters }) => deadLetters)
    gauge(
      'parked_groups',
      'Groups parked until an operator resumes them.',
      ({ parked, parkedMore }) => parked.length + parkedMore,
    )
    gauge('consumers', 'Connected consumers, in a cluster of all hubs.', ({ consumers }) => consumers)
    gauge(
      'wanted_consumers',
      'Consumers needed to keep up and to clear the ready messages in ten seconds.',
      ({ wantedConsumers }) => wantedConsumers,
    )
    gauge('keep_up_consumers', 'Consumers needed to keep up.', ({ keepUpConsumers }) => keepUpConsumers)
    gauge(
      'growing',
      '1 if the backlog has grown for 30 seconds without shrinking; back to 0 once nothing has been published for as long.',
      ({ growing }) => (growing ? 1 : 0),
    )
    counter('published_total', 'Messages published to the queue.', ({ publishedTotal }) => publishedTotal)
    counter('acked_total', 'Messages acked.', ({ ackedTotal }) => ackedTotal)
    counter('redelivered_total', 'Deliveries after the first attempt.', ({ redeliveredTotal }) => redeliveredTotal)
    counter('timed_out_total', 'Deliveries whose ack deadline passed.', ({ timedOutTotal }) => timedOutTotal)
    counter(
      'dropped_total',
      'Messages dropped because they expired or the queue was full.',
      ({ droppedTotal }) => droppedTotal,
    )
    counter(
      'dead_letters_dropped_total',
      'Dead letters dropped because of maxDeadLetters.',
      ({ deadLettersDroppedTotal }) => deadLettersDroppedTotal,
    )
  }

  private declareStreams(): void {
    const each = (value: (stream: StreamStatus) => number) => () =>
      this.streams.map((stream): Series => [[stream.name], value(stream)])
    const gauge = (name: string, help: string, value: (stream: StreamStatus) => number) =>
      this.families.labelledGauge(`fanfare_stream_${name}`, help, ['stream'], each(value))
    gauge('messages', 'Messages stored.', ({ messages }) => messages)
    gauge('bytes', 'Bytes stored.', ({ bytes }) => bytes)
    gauge('cursors', 'Cursors stored; cursorsPerStream is the limit.', ({ cursorCount }) => cursorCount)
    gauge(
      'oldest_timestamp_seconds',
      'Time of the oldest message in seconds since 1970; 0 if there is none.',
      ({ oldestAt = 0 }) => oldestAt / 1000,
    )
    this.families.labelledCounter(
      'fanfare_stream_published_total',
      'Messages stored since the stream was declared.',
      ['stream'],
      each(({ next }) => next),
    )
  }

  /**
   * Uses the conventional names of Prometheus clients. The collectors of the library itself are not used, because each hub in the
   * process would leave an observer behind.
   */
  private declareProcess(monitor: Monitor): void {
    const startedAt = Date.now() / 1000 - process.uptime()
    this.families.counter('process_cpu_seconds_total', 'CPU time.', () => {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1e6
    })
    this.families.gauge('process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss())
    this.families.gauge(
      'fanfare_clock_offset_seconds',
      "How far the machine's clock is ahead of the hub's time, which runs on from its start.",
      () => monitor.clockOffsetMs / 1000,
    )
    this.families.gauge(
      'process_start_time_seconds',
      'Start time of the process, in seconds since 1970.',
      () => startedAt,
    )
    this.families.gauge('nodejs_heap_size_used_bytes', 'JavaScript heap in use.', () => process.memoryUsage().heapUsed)
    this.families.gauge(
      'fanfare_event_loop_delay_seconds',
      'Event loop delay in the last second, 99th percentile.',
      () => monitor.eventLoopDelaySeconds,
    )
  }
}

/** Describes the first names, in slices. */
async function inSlices<Info>(names: Iterable<string>, list: (names: readonly string[]) => Promise<Info[]>) {
  const infos: Info[] = []
  for await (const some of inTurns(names, AT_ONCE)) {
    infos.push(...(await list(some.slice(0, LABELLED - infos.length))))
    if (infos.length >= LABELLED) break
  }
  return infos
}
