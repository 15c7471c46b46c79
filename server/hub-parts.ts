import type { Logger } from 'pino'
import type { Clock } from '../shared/clock.ts'
import { FanfareError } from '../shared/errors.ts'
import { answerOperators } from './admin/answers.ts'
import { KnownDeclarations } from './admin/known-declarations.ts'
import { type AdminParts, callMethod } from './admin/methods.ts'
import { type Caller, OperatorLog } from './admin/operator-log.ts'
import type { Access } from './auth/access.ts'
import type { Authenticator } from './auth/authenticator.ts'
import { isLoopbackAddress } from './auth/loopback.ts'
import type { Broker, BrokerEvents } from './broker/broker.ts'
import type { Bus, BusEvents } from './bus/bus.ts'
import { NO_CLUSTER } from './bus/load-bus.ts'
import { Nodes } from './bus/nodes.ts'
import type { HubConfig } from './config.ts'
import type { Connection } from './connection/connection.ts'
import type { ConnectionParts } from './connection/connection-parts.ts'
import type { DispatchParts } from './connection/dispatch.ts'
import { FrameTime } from './connection/frame-time.ts'
import { Heartbeat } from './connection/heartbeat.ts'
import { OpenConnections } from './connection/open-connections.ts'
import { OutboxBudget } from './connection/outbox-budget.ts'
import { UpgradeCheck } from './connection/upgrade-check.ts'
import { WriteTurn } from './connection/write-turn.ts'
import type { EngineApp, EngineSocket, SocketHandlers } from './engine/engine.ts'
import type { UnexpectedErrors } from './failure/unexpected-errors.ts'
import { httpHandler } from './http/handler.ts'
import { HttpPublisher } from './http/publisher.ts'
import { Admission } from './limit/admission.ts'
import { Descriptors } from './limit/descriptors.ts'
import { HttpConnections } from './limit/http-connections.ts'
import { type LimitHit, type LimitName, NO_RATES } from './limit/limits.ts'
import { MessageLimits } from './limit/message-limits.ts'
import { Refusals } from './limit/refusals.ts'
import { SubscriptionBudget } from './limit/subscription-budget.ts'
import { Metrics } from './monitor/metrics.ts'
import { Monitor } from './monitor/monitor.ts'
import { Traffic } from './monitor/traffic.ts'
import { Origins } from './network/origins.ts'
import { Proxies } from './network/proxies.ts'
import { QueueShares } from './queue/queue-shares.ts'
import { Queues } from './queue/queues.ts'
import { Connections } from './registry/connections.ts'
import { Streams } from './stream/streams.ts'
import { Contracts } from './topic/contracts.ts'
import { RequestRouting } from './topic/request-routing.ts'
import { Topics } from './topic/topics.ts'
import { version } from './version.ts'

/** What a hub is built from. */
export interface HubBasis {
  readonly config: HubConfig
  readonly broker: Broker
  readonly bus: Bus
  readonly authenticator: Authenticator
  readonly log: Logger
  readonly clock: Clock
  readonly unexpected: UnexpectedErrors
}

/** What the parts ask the hub while it runs. */
export interface HubView {
  /** Whether the hub accepts connections. */
  accepts(): boolean
  /** Host and port that the hub listens on; undefined while it does not listen. */
  address(): string | undefined
  /** In milliseconds since 1970; undefined without TLS. */
  certificateExpiresAt(): number | undefined
}

/** The parts that the hub itself uses. */
export interface HubParts {
  readonly nodes: Nodes
  readonly streams: Streams
  readonly queues: Queues
  readonly monitor: Monitor
  readonly heartbeat: Heartbeat
  readonly proxies: Proxies
  readonly httpConnections: HttpConnections
  readonly traffic: Traffic
  readonly upgrades: UpgradeCheck
  readonly budget: OutboxBudget
  readonly registry: Connections<Connection>
  readonly connections: OpenConnections
  readonly publisher: HttpPublisher
  readonly brokerEvents: BrokerEvents
  readonly busEvents: BusEvents
  readonly fetch: EngineApp['fetch']
}

/** Builds the parts of a hub bottom-up, and gives each exactly what it uses. */
export function hubParts(basis: HubBasis, state: HubView): HubParts {
  const limits = limitParts(basis)
  const topics = topicParts(basis, limits)
  const registry = new Connections<Connection>(basis.clock)
  const watching = monitorParts(basis, limits, topics, registry, state)
  const connecting = connectionParts(basis, limits, topics, registry, watching)
  const serving = httpParts(basis, limits, topics, watching, connecting, state)
  const { streams, queues, nodes } = topics
  const { monitor } = watching
  const { proxies, httpConnections, traffic, budget } = limits
  const { heartbeat, connections } = connecting
  const common = { nodes, streams, queues, monitor, heartbeat, proxies, httpConnections, traffic, budget }
  const events = { brokerEvents: brokerEvents(topics, watching), busEvents: busEvents(topics) }
  return { ...common, registry, connections, ...serving, ...events }
}

/** Limits on peers, and counters of refusals. */
function limitParts({ config, log }: HubBasis) {
  const refusals = new Refusals(log)
  const traffic = new Traffic((limit, about) => refusals.report(limit, about))
  const hit = (limit: LimitHit, address: string) => traffic.hit(limit, { address })
  const proxies = new Proxies(config.trustedProxies)
  const isExempt = (address: string) => isLoopbackAddress(address) || proxies.trusts(address)
  return {
    refusals,
    traffic,
    proxies,
    admission: new Admission(config, hit),
    httpConnections: new HttpConnections(config, new Descriptors(), isExempt, hit),
    messages: new MessageLimits(config),
    budget: new OutboxBudget(config.outboxTotalBytes),
    subscriptionBudget: new SubscriptionBudget(config.subscriptionBytes, () => traffic.hit('subscriptionBytes', {})),
    frameTime: new FrameTime(),
  }
}
type LimitParts = ReturnType<typeof limitParts>

/** The path of messages: topics, and the streams and queues that store them. */
function topicParts({ config, broker, bus, log, clock, unexpected }: HubBasis, { traffic }: LimitParts) {
  const { maxStreams, maxQueues, maxPatterns } = config
  const names = { maxPatterns, hit: (limit: LimitName) => traffic.hit(limit, {}) }
  const streams = new Streams(broker, clock, { ...names, limit: 'maxStreams', maxNames: maxStreams })
  const nodes = new Nodes(bus, unexpected)
  const shares = new QueueShares(nodes, clock.now())
  const queues = new Queues(broker, shares, log, clock, unexpected, {
    ...names,
    limit: 'maxQueues',
    maxNames: maxQueues,
  })
  const contracts = new Contracts(config.topics, log)
  const keepers = {
    streamsOf: (words: readonly string[]) => streams.streamsOf(words),
    bindingsOf: (words: readonly string[]) => queues.bindingsOf(words),
    hasQueue: (name: string) => queues.has(name),
  }
  const topics = new Topics(broker, bus, keepers, contracts, clock, unexpected)
  return { streams, queues, shares, topics, nodes, requests: new RequestRouting(contracts, nodes, clock) }
}
type TopicParts = ReturnType<typeof topicParts>

/** Monitoring and administration. */
function monitorParts(
  { broker, unexpected, log, clock }: HubBasis,
  { traffic, messages: limits, budget, subscriptionBudget, httpConnections }: LimitParts,
  { topics, streams, queues, nodes }: TopicParts,
  connections: Connections,
  { address, certificateExpiresAt }: HubView,
) {
  const watched = {
    ...{ version, nodes, topics, streams, queues, connections, traffic, limits, budget, subscriptionBudget },
    httpConnections: () => httpConnections.count,
    ...{ broker, unexpected, address, certificateExpiresAt, log, clock },
  }
  const monitor = new Monitor(watched)
  const metrics = new Metrics(watched, monitor)
  nodes.answer('limits.spent', (spent) => limits.spentElsewhere(spent))
  answerOperators(nodes, { connections, monitor, clock })
  const declarations = new KnownDeclarations(nodes, broker, clock)
  const operatorLog = new OperatorLog(log)
  const admin: AdminParts = { nodes, streams, queues, declarations, monitor, clock, operatorLog }
  const call = (method: string, params: unknown, caller: Caller) => callMethod(admin, method, params, caller)
  return { monitor, metrics, declarations, call }
}
type MonitorParts = ReturnType<typeof monitorParts>

/** Routes the broker's events. */
function brokerEvents({ topics, streams, queues }: TopicParts, { metrics, declarations }: MonitorParts): BrokerEvents {
  const declared =
    <What>(take: (what: What) => void) =>
    (what: What) => {
      take(what)
      declarations.changed()
    }
  return {
    messages: (batch) => topics.committed(batch),
    missed: (from) => {
      streams.missed(from)
      // It is unknown which topics without streams and queues had messages.
      topics.missed(() => true)
      declarations.changed()
    },
    ready: (queue) => queues.deal(queue),
    streamDeclared: declared((state) => streams.declared(state)),
    streamDeleted: declared((name) => streams.deleted(name)),
    queueDeclared: declared((options) => queues.declared(options)),
    queueDeleted: declared((name) => queues.deleted(name)),
    committed: (commit) => metrics.committed(commit),
  }
}

/** Routes the bus's events. */
function busEvents({ topics, nodes, shares, requests }: TopicParts): BusEvents {
  return {
    messages: (batch) => topics.received(batch),
    missed: (concerns) => {
      nodes.missedTotal++
      topics.missed(concerns)
    },
    joined: (node) => {
      nodes.joined(node)
      shares.joined()
      requests.joined(node)
    },
    left: (node) => {
      nodes.left(node)
      shares.left(node)
      requests.left(node)
    },
    asked: (question, params, from) => nodes.asked(question, params, from),
  }
}

/** Opens connections, and what all connections share. */
function connectionParts(
  basis: HubBasis,
  limits: LimitParts,
  topics: TopicParts,
  registry: Connections<Connection>,
  { monitor, call }: MonitorParts,
) {
  const { config, bus, authenticator, clock, log, unexpected } = basis
  const { window, pingIntervalMs, frameBytes, subscriptions, calls, helloTimeoutMs } = config
  const { traffic, budget, frameTime, admission } = limits
  const turn = new WriteTurn(clock)
  const heartbeat = new Heartbeat(pingIntervalMs, clock)
  const connection: ConnectionParts = {
    inbox: { frameTime, budget },
    outbox: { turn, budget, traffic, limit: config.outboxBytes },
    dispatch: dispatchParts(basis, limits, topics, call),
    welcome: {
      ...{ window, pingIntervalMs, limits: { frameBytes, subscriptions, calls }, authenticator, clock },
      ...(config.cluster !== NO_CLUSTER && { node: bus.node.name }),
    },
    ...{ authenticator, limits: limits.messages, traffic, turn, clock, log, unexpected, helloTimeoutMs },
    node: () => monitor.node,
    watchExpiry: (each) => heartbeat.watchExpiry(each),
    ended: (last, code) => registry.ended(last, code),
    closed: (id) => connections.closed(id),
  }
  const inProcess: ConnectionParts = {
    ...connection,
    dispatch: { ...connection.dispatch, subscribesPerSecond: NO_RATES.subscribesPerSecond },
    limits: new MessageLimits({ ...config, ...NO_RATES }),
  }
  const connections = new OpenConnections({ connection, inProcess, registry, heartbeat, admission, clock, log })
  return { heartbeat, connections }
}

function dispatchParts(
  { config, broker, clock, unexpected }: HubBasis,
  { traffic, subscriptionBudget: budget }: LimitParts,
  { topics, streams, queues, requests }: TopicParts,
  call: MonitorParts['call'],
): DispatchParts {
  const { window, calls, subscriptions: most, subscribesPerSecond } = config
  return {
    publishes: { topics, broker, window },
    subscriptions: { topics, streams, broker, budget, clock, most },
    consumers: { queues, topics, broker, budget, clock, most },
    requests: { requests, budget, most },
    calls: { traffic, clock, unexpected, most: calls, call },
    ...{ streams, traffic, unexpected, subscribesPerSecond },
  }
}

/** Answers HTTP requests, including upgrades. */
function httpParts(
  { config, broker, bus, authenticator, unexpected }: HubBasis,
  { refusals, traffic, proxies, admission, messages, frameTime }: LimitParts,
  { topics, streams, queues }: TopicParts,
  { metrics, call }: MonitorParts,
  { connections }: { readonly connections: OpenConnections },
  { accepts }: HubView,
) {
  const { frameBytes, window, path } = config
  const origins = new Origins(config.allowedOrigins, () => authenticator.isLocal)
  const upgrades = new UpgradeCheck(proxies, origins, admission, traffic, refusals)
  const shared = { topics, streams, queues, broker, admission, traffic, frameTime, unexpected }
  const publisher = new HttpPublisher({ ...shared, limits: messages, window, accepts })
  const open = (socket: EngineSocket, address: string, access: Access): SocketHandlers => {
    if (!accepts()) throw new FanfareError('shutting_down')
    admission.require(address)
    return connections.open(socket, address, access)
  }
  const fetch = httpHandler(
    {
      ...{ version, frameBytes, path, publisher, open, accepts, unexpected, call, metrics },
      storageFailure: () => broker.failure,
      isCutOff: () => bus.isCutOff,
      brokerCutOff: () => broker.remote?.cutOff,
      authenticate: async (credentials) => authenticator.authenticate(credentials),
    },
    {
      ...{ origins, proxies, tls: config.tls !== undefined },
      refused: (code, origin) => upgrades.report(code, origin),
    },
  )
  return { upgrades, publisher, fetch }
}
