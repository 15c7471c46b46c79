import type { Server } from 'node:http'
import type { Logger } from 'pino'
import type { Clock, Timer } from '../shared/clock.ts'
import { FanfareError } from '../shared/errors.ts'
import { steadyClock } from '../shared/steady-clock.ts'
import { callMethod } from './admin/methods.ts'
import { type Caller, OperatorLog } from './admin/operator-log.ts'
import type { Access } from './auth/access.ts'
import type { Authenticator } from './auth/authenticator.ts'
import { isLoopback, isLoopbackAddress } from './auth/loopback.ts'
import type { Broker } from './broker/broker.ts'
import type { HubConfig } from './config.ts'
import { Connection } from './connection/connection.ts'
import type { ConnectionContext } from './connection/context.ts'
import { FrameTime } from './connection/frame-time.ts'
import { Heartbeat } from './connection/heartbeat.ts'
import { OutboxBudget } from './connection/outbox-budget.ts'
import { Turn } from './connection/turn.ts'
import { UpgradeCheck } from './connection/upgrade-check.ts'
import type {
  Engine,
  EngineApp,
  EngineSocket,
  HttpConnection,
  Listener,
  Refused,
  SocketHandlers,
  UpgradeRequest,
} from './engine/engine.ts'
import { UnexpectedErrors } from './failure/unexpected-errors.ts'
import { httpHandler } from './http/handler.ts'
import type { HttpContext } from './http/operation.ts'
import { type Client, InProcess, type InProcessOptions } from './in-process/in-process.ts'
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
import { IN_PROCESS } from './network/address.ts'
import { Origins } from './network/origins.ts'
import { Proxies } from './network/proxies.ts'
import { Queues } from './queue/queues.ts'
import { Connections } from './registry/connections.ts'
import { Streams } from './stream/streams.ts'
import type { CertificateInUse } from './tls/certificate-in-use.ts'
import { Contracts } from './topic/contracts.ts'
import { Requests } from './topic/requests.ts'
import { Topics } from './topic/topics.ts'
import { version } from './version.ts'

/** `draining`: it accepts nothing more, and sends what waits. */
export type HubState = 'starting' | 'ready' | 'draining' | 'closed'

/**
 * A hub, made by `startHub` or `createHub`. It wires the parts: engine, connections, topics, streams, queues, HTTP.
 */
export class Hub implements EngineApp {
  /** Answers HTTP requests; for an embedder who attached the hub to a server of his own. */
  readonly fetch: EngineApp['fetch']
  private readonly config: HubConfig
  private readonly log: Logger
  private readonly clock: Clock
  private readonly broker: Broker
  private readonly streams: Streams
  private readonly queues: Queues
  private readonly context: ConnectionContext
  /** The limits for a second are for peers, and do not hold for the program's own clients. */
  private readonly ownContext: ConnectionContext
  private readonly inProcess: InProcess
  private readonly connections: Connections<Connection>
  private readonly monitor: Monitor
  private readonly heartbeat: Heartbeat
  private readonly authenticator: Authenticator
  private readonly proxies: Proxies
  private readonly admission: Admission
  private readonly httpConnections: HttpConnections
  private readonly traffic: Traffic
  private readonly upgrades: UpgradeCheck
  private readonly unexpected: UnexpectedErrors
  private readonly operatorLog: OperatorLog
  private state: HubState = 'starting'
  private listener: Listener | undefined = undefined
  private certificate: CertificateInUse | undefined = undefined
  /** What `start`, `listen` or `attach`, and `close` do: each happens once, and all callers wait for the same promise. */
  private opening: Promise<void> | undefined = undefined
  private starting: Promise<void> | undefined = undefined
  private closing: Promise<void> | undefined = undefined
  private allClosed: (() => void) | undefined = undefined

  constructor(
    config: HubConfig,
    broker: Broker,
    authenticator: Authenticator,
    log: Logger,
    machineClock: Clock = steadyClock,
    unexpected = new UnexpectedErrors(log),
  ) {
    const clock = unexpected.guard(machineClock)
    this.unexpected = unexpected
    this.config = config
    this.log = log
    this.clock = clock
    this.broker = broker
    this.connections = new Connections(clock)
    this.operatorLog = new OperatorLog(log)
    const refusals = new Refusals(log)
    const traffic = new Traffic((limit, about) => refusals.report(limit, about))
    this.traffic = traffic
    const { maxStreams, maxQueues, maxPatterns } = config
    const names = { maxPatterns, hit: (limit: LimitName) => traffic.hit(limit, {}) }
    this.streams = new Streams(broker, clock, { ...names, limit: 'maxStreams', maxNames: maxStreams })
    this.queues = new Queues(broker, log, clock, unexpected, { ...names, limit: 'maxQueues', maxNames: maxQueues })
    const contracts = new Contracts(config.topics, log)
    const topics = new Topics(
      broker,
      {
        streamsOf: (words) => this.streams.streamsOf(words),
        bindingsOf: (words) => this.queues.bindingsOf(words),
        hasQueue: (name) => this.queues.has(name),
      },
      contracts,
      clock,
    )
    this.streams.onChange = () => topics.forgetRoutes()
    this.queues.onChange = () => topics.forgetRoutes()
    this.heartbeat = new Heartbeat(config.pingIntervalMs, clock)
    this.authenticator = authenticator
    const hit = (limit: LimitHit, address: string) => traffic.hit(limit, { address })
    this.proxies = new Proxies(config.trustedProxies)
    this.admission = new Admission(config, hit)
    const exempt = (address: string) => isLoopbackAddress(address) || this.proxies.trusts(address)
    this.httpConnections = new HttpConnections(config, new Descriptors(), exempt, hit)
    const budget = new OutboxBudget(config.outboxTotalBytes)
    const subscriptionBudget = new SubscriptionBudget(config.subscriptionBytes, () =>
      traffic.hit('subscriptionBytes', {}),
    )
    const { streams, queues, connections } = this
    const certificateExpiresAt = () => this.certificate?.current.expiresAt
    const watched = {
      version,
      topics,
      streams,
      queues,
      connections,
      traffic,
      budget,
      subscriptionBudget,
      broker,
      unexpected,
      httpConnections: () => this.httpConnections.count,
      certificateExpiresAt,
      log,
      clock,
    }
    this.monitor = new Monitor(watched)
    const metrics = new Metrics(watched, this.monitor)
    broker.onCommit = (commit) => metrics.committed(commit)
    const origins = new Origins(config.allowedOrigins, () => authenticator.isLocal)
    this.upgrades = new UpgradeCheck(this.proxies, origins, this.admission, traffic, refusals)
    const api: HttpContext = {
      version,
      frameBytes: config.frameBytes,
      window: config.window,
      open: (socket, address, access) => this.openOverHttp(socket, address, access),
      accepts: () => this.state === 'ready',
      storageFailure: () => broker.failure,
      unexpected,
      path: config.path,
      authenticate: async (credentials) => this.authenticator.authenticate(credentials),
      call: (method, params, caller) => this.call(method, params, caller),
      metrics,
    }
    this.fetch = httpHandler(api, {
      origins,
      proxies: this.proxies,
      refused: (code, origin) => this.upgrades.report(code, origin),
      tls: config.tls !== undefined,
    })
    this.context = {
      config,
      log,
      unexpected,
      clock,
      topics,
      streams,
      queues,
      requests: new Requests(contracts, clock),
      broker,
      authenticator: this.authenticator,
      call: (method, params, caller) => this.call(method, params, caller),
      watchExpiry: (connection) => this.heartbeat.watchExpiry(connection),
      turn: new Turn(clock),
      frameTime: new FrameTime(),
      budget,
      subscriptionBudget,
      traffic,
      limits: new MessageLimits(config),
      ended: (last, code) => connections.ended(last, code),
      closed: (connectionId) => this.forget(connectionId),
    }
    const ownConfig = { ...config, ...NO_RATES }
    this.ownContext = { ...this.context, config: ownConfig, limits: new MessageLimits(ownConfig) }
    this.inProcess = new InProcess({
      frameBytes: config.frameBytes,
      clock: machineClock,
      start: () => this.start(),
      identify: (identity) => authenticator.identify(identity),
      open: (socket, access) => this.openInProcess(socket, access),
    })
  }

  /** The port that is listened on, or 0 before `listen`. */
  get port(): number {
    return this.listener?.port ?? 0
  }

  /** Connections that are open now. */
  get connectionCount(): number {
    return this.connections.count
  }

  /** What all outboxes hold together, in bytes. */
  get outboxBytes(): number {
    return this.context.budget.bytes
  }

  /**
   * Makes a client in this process: the client of `fanfare/client` without a socket, with an identity that you choose. It needs no token,
   * whatever `auth` says. Returns at once, also before `listen` or `attach`, and on a hub that never listens: what is published or
   * subscribed before the hub is ready goes out when it is.
   *
   * Window, outbox, frame size and subscriptions bound it as they bound any connection; `maxConnections`, and the limits for an address
   * or for a second, do not. Close it, or the process goes on for it. `hub.close()` ends it at the latest: its readers come to their end, what had
   * no answer rejects with `shutting_down`, or `connection_lost` if it may have happened, and `ready()` rejects with `shutting_down`.
   *
   * @typeParam Topics - as for `connect` of `fanfare/client`
   * @throws {FanfareError} shutting_down: `close` was called; bad_option: an option has an unknown name or a wrong value; bad_frame: `name`
   * is longer than 200 characters; and why the hub could not open its streams and queues before
   * @example
   * ```
   * const client = hub.connect({ subject: 'shop', permissions: { publish: ['orders.#'] } })
   * await client.publish('orders.placed', { id: 17 })
   * ```
   */
  connect<Topics extends object = Record<string, unknown>>(options: InProcessOptions<Topics> = {}): Client<Topics> {
    return this.inProcess.connect(options)
  }

  /**
   * Opens what the broker keeps. `listen`, `attach` and `connect` do it; call it for a hub that listens nowhere, to learn of problems before
   * its first client does. Rejects with `shutting_down` if the hub is closed meanwhile, and with what is wrong with streams and queues.
   */
  start(): Promise<void> {
    this.opening ??= this.openBroker()
    return this.opening
  }

  /**
   * Opens what the broker keeps, then the port. `startHub` calls it. Rejects with `port_in_use`, `bad_config`, and `shutting_down` if the hub
   * is closed meanwhile.
   */
  listen(engine: Engine, certificate?: CertificateInUse): Promise<void> {
    this.starting ??= this.startListening(engine, certificate)
    return this.starting
  }

  private async startListening(engine: Engine, certificate?: CertificateInUse): Promise<void> {
    await this.start()
    const listener = await engine.listen(this.config, this, certificate?.current)
    this.listener = listener
    this.certificate = certificate
    this.requireOpen()
    certificate?.watch((renewed) => listener.renew(renewed))
    this.monitor.engine = engine.name
    const { host, path } = this.config
    this.log.info({ engine: engine.name, host, port: this.port, path, tls: certificate !== undefined }, 'listening')
  }

  /**
   * Reads the files of `tls` again, now and not when the hub sees that they have changed. New connections get the certificate,
   * open ones stay. Rejects with `bad_config` where it cannot be used: the one before stays. Does nothing without `tls`.
   */
  async reloadCertificate(): Promise<void> {
    await this.certificate?.reload()
  }

  /**
   * Serves the WebSocket endpoint on an existing server. Its HTTP requests stay with its owner: see `fetch`. Rejects with
   * `bad_config`, also if the server already listens on an address that other machines reach and `auth` is not set, and with `shutting_down` if
   * the hub is closed meanwhile.
   */
  attach(server: Server): Promise<void> {
    this.starting ??= this.startAttached(server)
    return this.starting
  }

  private async startAttached(server: Server): Promise<void> {
    if (server.listening) await this.listensAt(server)
    // Until then nobody is let in as somebody of this machine.
    else
      server.once('listening', () => this.listensAt(server).catch((error) => this.log.error({ err: error }, 'exposed')))
    await this.start()
    const { attachTo } = await import('./engine/ws-engine.ts')
    this.requireOpen()
    attachTo(server, this.config, this)
    this.monitor.engine = 'ws'
  }

  /**
   * Call when an error reached the process that the hub runs in (`uncaughtException`, `unhandledRejection`) and the process goes
   * on. The error is logged and counted, and `/readyz` answers 503 from then on. `fanfare serve` does this; a hub inside a
   * program installs no handlers, since what such an error means is for the program to decide.
   */
  escaped(error: unknown): void {
    this.unexpected.report('process', error)
  }

  failed(error: unknown): void {
    this.unexpected.report('engine', error)
  }

  arrived(connection: HttpConnection): void {
    this.httpConnections.arrived(connection)
  }

  left(connection: HttpConnection): void {
    this.httpConnections.left(connection)
  }

  crowded(): boolean {
    return this.httpConnections.crowded()
  }

  pipelined({ remoteAddress }: HttpConnection): void {
    this.traffic.hit('pipelinedRequests', { address: remoteAddress })
  }

  /**
   * Drains and closes: accepts nothing more, sends what is waiting, tells every client to reconnect, and ends within
   * `drainTimeoutMs`. A hub that is starting ends as soon as it has started. Every call returns the promise of the first one.
   */
  close(): Promise<void> {
    this.closing ??= this.drain()
    return this.closing
  }

  private async drain(): Promise<void> {
    const { starting, opening } = this
    this.state = 'draining'
    this.inProcess.end(new FanfareError('shutting_down', 'close() of the hub was called'))
    // Their callers learn why it did not start.
    await Promise.allSettled([starting, opening])
    this.certificate?.stop()
    this.listener?.stop()
    this.httpConnections.drain()
    this.log.info({ connections: this.connections.count }, 'draining')
    for (const connection of this.connections.all) connection.finish()
    await this.connectionsClosed()
    this.heartbeat.stop()
    this.monitor.stop()
    this.queues.close()
    await this.broker.close()
    this.listener?.end()
    this.state = 'closed'
    this.log.info('closed')
  }

  accept(request: UpgradeRequest): true | Refused {
    return this.upgrades.check(request, this.state === 'ready')
  }

  open(socket: EngineSocket, request: UpgradeRequest): SocketHandlers {
    const { address } = this.proxies.clientOf(request.remoteAddress, (name) => request.headers[name], request.secure)
    return this.take(new Connection(socket, address, this.context, { ...request, remoteAddress: address }))
  }

  /** @internal */
  openInProcess(socket: EngineSocket, access: Access): SocketHandlers | undefined {
    if (this.state !== 'ready') return undefined
    return this.take(new Connection(socket, IN_PROCESS, this.ownContext, access))
  }

  private take(connection: Connection): SocketHandlers {
    this.connections.add(connection.id, connection)
    this.heartbeat.add(connection)
    this.admission.opened(connection.address)
    return connection
  }

  /** Throws `shutting_down`, `hub_full`, `address_limit`. */
  private openOverHttp(socket: EngineSocket, address: string, access: Access): SocketHandlers {
    if (this.state !== 'ready') throw new FanfareError('shutting_down')
    const refusal = this.admission.refusalOf(address)
    if (refusal) throw refusal
    return this.take(new Connection(socket, address, this.context, access))
  }

  private call(method: string, params: unknown, caller: Caller): Promise<unknown> {
    const { streams, queues, connections, monitor, clock, operatorLog } = this
    return callMethod({ streams, queues, connections, monitor, clock, operatorLog }, method, params, caller)
  }

  private async listensAt(server: Server): Promise<void> {
    const address = server.address()
    // A socket in the file system is of this machine.
    if (typeof address === 'string' || address === null) this.authenticator.listensOn(String(address), true)
    else this.authenticator.listensOn(address.address, await isLoopback(address.address))
  }

  private async openBroker(): Promise<void> {
    this.requireOpen()
    await this.streams.open(this.config.streams)
    await this.queues.open(this.config.queues)
    this.requireOpen()
    this.state = 'ready'
    this.monitor.start()
  }

  /** Throws `shutting_down`. */
  private requireOpen(): void {
    if (this.closing) throw new FanfareError('shutting_down')
  }

  private forget(connectionId: string): void {
    const connection = this.connections.remove(connectionId)
    if (!connection) return
    this.heartbeat.remove(connection)
    this.admission.closed(connection.address)
    if (this.connections.count === 0) this.allClosed?.()
  }

  private async connectionsClosed(): Promise<void> {
    if (this.connections.count === 0) return
    let timer: Timer | undefined
    const late = new Promise<void>((resolve) => {
      timer = this.clock.setTimeout(resolve, this.config.drainTimeoutMs)
    })
    await Promise.race([
      late,
      new Promise<void>((resolve) => {
        this.allClosed = resolve
      }),
    ])
    this.clock.clearTimeout(timer)
    if (this.connections.count > 0) this.log.warn({ connections: this.connections.count }, 'some did not close in time')
    for (const connection of this.connections.all) connection.terminate()
  }
}
