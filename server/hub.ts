import type { Server } from 'node:http'
import { resolve } from 'node:path'
import { Server as SecureServer } from 'node:tls'
import type { Logger } from 'pino'
import type { Clock } from '../shared/clock.ts'
import { shown } from '../shared/error-text.ts'
import { FanfareError } from '../shared/errors.ts'
import { steadyClock } from '../shared/steady-clock.ts'
import type { Access } from './auth/access.ts'
import type { Authenticator } from './auth/authenticator.ts'
import { isLoopback } from './auth/loopback.ts'
import type { Broker } from './broker/broker.ts'
import { IN_MEMORY } from './broker/load-broker.ts'
import type { Bus } from './bus/bus.ts'
import { NO_CLUSTER, shownCluster } from './bus/load-bus.ts'
import type { HubConfig } from './config.ts'
import type {
  Engine,
  EngineApp,
  EngineSocket,
  HttpConnection,
  HttpPeer,
  Listener,
  Refused,
  SocketHandlers,
  UpgradeRequest,
} from './engine/engine.ts'
import { type NodeHandler, nodeHandler } from './engine/node-handler.ts'
import { UnexpectedErrors } from './failure/unexpected-errors.ts'
import { type HubParts, hubParts } from './hub-parts.ts'
import { type Client, InProcess, type InProcessOptions } from './in-process/in-process.ts'
import { addressesOf, placeOf } from './network/addresses.ts'
import type { CertificateInUse } from './tls/certificate-in-use.ts'
import { version } from './version.ts'

/** `draining`: accepts nothing more, and sends what is waiting. */
export type HubState = 'starting' | 'ready' | 'draining' | 'closed'

/** A hub, created by `startHub` or `createHub`. */
export interface Hub extends AsyncDisposable {
  readonly state: HubState
  /** The port that the hub, or the server it is attached to, listens on; 0 before that. */
  readonly port: number
  /** The address for clients on this machine, such as `ws://127.0.0.1:4747`; undefined while the hub does not listen. */
  readonly url: string | undefined
  /** Number of open connections. */
  readonly connectionCount: number
  /** Size of all outboxes together, in bytes. */
  readonly outboxBytes: number
  /**
   * Answers HTTP requests: the API, server-sent events, metrics and the dashboard. For servers that use `Request` and `Response`.
   *
   * @example
   * ```
   * app.all('/v1/*', (c) => hub.fetch(c.req.raw)) // Hono
   * ```
   */
  readonly fetch: (request: Request, peer?: HttpPeer) => Response | Promise<Response>
  /**
   * The same for `node:http`, and as Express middleware. As middleware without a path it answers `/v1/…`, `/healthz`, `/readyz`,
   * `/metrics` and `/fanfare.js`, and passes other requests on to the application. Mounted at a path it answers everything below
   * that path. It works before and after `express.json()`.
   *
   * @example
   * ```
   * app.use('/fanfare', hub.handler)
   * ```
   */
  readonly handler: NodeHandler
  /**
   * Creates a client in this process: the client of `fanfare/client` without a socket, with an identity that you choose. It needs
   * no token, whatever `auth` says. Returns at once, also before `listen` or `attach`, and on a hub that never listens: what is
   * published or subscribed before the hub is ready is sent when it is.
   *
   * Window, outbox, frame size and subscriptions limit it like any connection; `maxConnections` and the limits per address and per
   * second do not. Close it, otherwise it keeps the process alive. `hub.close()` ends it at the latest: its iterators end, pending
   * operations reject with `shutting_down`, or with `connection_lost` if they may have taken effect, and `ready()` rejects with
   * `shutting_down`.
   *
   * @typeParam Topics - as for `connect` of `fanfare/client`
   * @throws {FanfareError} shutting_down: `close` was called; bad_option: an option has an unknown name or a wrong value;
   * bad_frame: `name` is longer than 200 characters; and the error of a hub that could not open its streams and queues
   * @example
   * ```
   * const client = hub.connect({ subject: 'shop', permissions: { publish: ['orders.#'] } })
   * await client.publish('orders.placed', { id: 17 })
   * ```
   */
  connect<Topics extends object = Record<string, unknown>>(options?: InProcessOptions<Topics>): Client<Topics>
  /**
   * Opens the streams and queues. `startHub`, `attach` and `connect` do this. Call it for a hub that does not listen, to learn
   * about problems before its first client does.
   *
   * @throws {FanfareError} shutting_down: the hub was closed in the meantime; and the errors of opening streams and queues
   */
  start(): Promise<void>
  /**
   * Serves the WebSocket endpoint on an existing server. Your program keeps the server's HTTP requests: see `handler` and `fetch`.
   *
   * @throws {FanfareError} bad_config: the server already listens on an address that other machines can reach, and `auth` is not
   * set. If it starts to listen there later, the error is logged, or emitted as a process warning if there is no logger;
   * shutting_down: the hub was closed in the meantime
   * @example
   * ```
   * const hub = await createHub()
   * await hub.attach(server)
   * server.listen(3000, '127.0.0.1')
   * ```
   */
  attach(server: Server): Promise<void>
  /**
   * Reads the files of `tls` again now, without waiting until the hub notices a change. New connections get the new certificate,
   * open ones stay. Does nothing without `tls`.
   *
   * @throws {FanfareError} bad_config: the certificate cannot be used; the previous one stays in use
   */
  reloadCertificate(): Promise<void>
  /**
   * Call when an error has reached the process that the hub runs in (`uncaughtException`, `unhandledRejection`) and the process
   * continues. The error is logged and counted, and `/readyz` answers 503 from then on. `fanfare serve` does this; a hub inside a
   * program installs no handlers, because the program decides what such an error means.
   */
  escaped(error: unknown): void
  /**
   * Drains and closes: accepts nothing more, sends what is waiting, tells every client to reconnect, and ends within
   * `drainTimeout`. A starting hub closes as soon as it has started. Every call returns the promise of the first one.
   */
  close(): Promise<void>
}

/** The hub's state from start to end. `hubParts` builds its parts. */
export class HubCore implements Hub, EngineApp {
  readonly fetch: EngineApp['fetch']
  readonly handler: NodeHandler
  private readonly config: HubConfig
  private readonly log: Logger
  private readonly broker: Broker
  private readonly bus: Bus
  private readonly authenticator: Authenticator
  private readonly unexpected: UnexpectedErrors
  private readonly parts: HubParts
  private readonly inProcess: InProcess
  private current: HubState = 'starting'
  private listener: Listener | undefined = undefined
  private attached: Server | undefined = undefined
  private certificate: CertificateInUse | undefined = undefined
  /** `start`, `listen` or `attach`, and `close` each happen once; all callers await the same promise. */
  private opening: Promise<void> | undefined = undefined
  private starting: Promise<void> | undefined = undefined
  private closing: Promise<void> | undefined = undefined

  constructor(
    config: HubConfig,
    broker: Broker,
    bus: Bus,
    authenticator: Authenticator,
    log: Logger,
    machineClock: Clock = steadyClock,
    unexpected = new UnexpectedErrors(log),
  ) {
    this.config = config
    this.log = log
    this.broker = broker
    this.bus = bus
    this.authenticator = authenticator
    this.unexpected = unexpected
    const clock = unexpected.guard(machineClock)
    this.parts = hubParts(
      { config, broker, bus, authenticator, log, clock, unexpected },
      {
        accepts: () => this.current === 'ready',
        address: () => this.address,
        certificateExpiresAt: () => this.certificate?.current.expiresAt,
      },
    )
    this.fetch = this.parts.fetch
    this.handler = nodeHandler(this)
    this.inProcess = new InProcess({
      frameBytes: config.frameBytes,
      clock: machineClock,
      start: () => this.start(),
      identify: (identity) => authenticator.identify(identity),
      open: (socket, access) => this.openInProcess(socket, access),
    })
  }

  get state(): HubState {
    return this.current
  }

  get port(): number {
    const address = this.attached?.address()
    return this.listener?.port ?? (typeof address === 'object' ? address?.port : undefined) ?? 0
  }

  get url(): string | undefined {
    const { port, attached } = this
    if (port === 0) return undefined
    const secure = attached ? attached instanceof SecureServer : this.config.tls !== undefined
    return addressesOf(this.host, port, this.config.path, secure).url
  }

  private get host(): string {
    const address = this.attached?.address()
    return this.attached && typeof address === 'object' ? (address?.address ?? '') : this.config.host
  }

  private get address(): string | undefined {
    return this.port === 0 ? undefined : placeOf(this.host, this.port)
  }

  get connectionCount(): number {
    return this.parts.registry.count
  }

  get outboxBytes(): number {
    return this.parts.budget.bytes
  }

  connect<Topics extends object = Record<string, unknown>>(options: InProcessOptions<Topics> = {}): Client<Topics> {
    return this.inProcess.connect(options)
  }

  start(): Promise<void> {
    this.opening ??= this.openBroker()
    return this.opening
  }

  /**
   * Opens the broker, then the port. Called by `startHub`. Rejects with `port_in_use`, `bad_config`, and with `shutting_down` if
   * the hub was closed in the meantime.
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
    this.parts.monitor.engine = engine.name
    this.reportListening(engine.name)
  }

  /** Logs, for people and for programs that start hubs, the hub's addresses and its data directory. */
  private reportListening(engine: string): void {
    const { port, certificate } = this
    const { host, path } = this.config
    const tls = certificate !== undefined
    const place = { host, port, path, tls, ...addressesOf(host, port, path, tls) }
    this.log.info({ version, engine, ...place, ...this.keeps }, 'listening')
  }

  /** Where the data is; a hub of a cluster stores none. */
  private get keeps() {
    const { data, cluster } = this.config
    if (cluster !== NO_CLUSTER) return { cluster: shownCluster(cluster), node: this.bus.node.name }
    return { data: data === IN_MEMORY ? data : resolve(data) }
  }

  async reloadCertificate(): Promise<void> {
    await this.certificate?.reload()
  }

  attach(server: Server): Promise<void> {
    this.starting ??= this.startAttached(server)
    return this.starting
  }

  private async startAttached(server: Server): Promise<void> {
    if (typeof (server as Partial<Server> | undefined)?.listening !== 'boolean') {
      const advice = 'With Express, pass what createServer(app) or app.listen() returns.'
      throw new FanfareError('bad_option', `attach needs an http.Server (got ${shown(server)}). ${advice}`)
    }
    if (server.listening) await this.listensAt(server)
    // Until then no client counts as a client on this machine.
    else server.once('listening', () => this.listensAt(server).catch((error: Error) => this.exposed(error)))
    this.attached = server
    await this.start()
    const { attachTo } = await import('./engine/ws-engine.ts')
    this.requireOpen()
    attachTo(server, this.config, this)
    this.parts.monitor.engine = 'ws'
  }

  escaped(error: unknown): void {
    this.unexpected.report('process', error)
  }

  failed(error: unknown): void {
    this.unexpected.report('engine', error)
  }

  arrived(connection: HttpConnection): void {
    this.parts.httpConnections.arrived(connection)
  }

  left(connection: HttpConnection): void {
    this.parts.httpConnections.left(connection)
  }

  crowded(): boolean {
    return this.parts.httpConnections.crowded()
  }

  pipelined({ remoteAddress }: HttpConnection): void {
    this.parts.traffic.hit('pipelinedRequests', { address: remoteAddress })
  }

  close(): Promise<void> {
    this.closing ??= this.drain()
    return this.closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  private async drain(): Promise<void> {
    const { starting, opening } = this
    this.current = 'draining'
    this.inProcess.end(new FanfareError('shutting_down', 'The hub was closed by close().'))
    // The callers of start report why it failed.
    const outcomes = await Promise.allSettled([starting, opening])
    const hasFailed = outcomes.some((one) => one.status === 'rejected' && one.reason?.code !== 'shutting_down')
    this.certificate?.stop()
    this.listener?.stop()
    this.parts.httpConnections.drain()
    const { registry, connections, publisher, heartbeat, monitor, queues, nodes } = this.parts
    // A hub that could not start has no clients, and its only news is the error.
    if (!hasFailed) this.log.info({ connections: registry.count }, 'draining')
    publisher.stop()
    await connections.drain(this.config.drainTimeoutMs, !nodes.alone)
    heartbeat.stop()
    monitor.stop()
    queues.close()
    await this.bus.close()
    await this.broker.close()
    this.listener?.end()
    this.current = 'closed'
    if (!hasFailed) this.log.info('closed')
  }

  accept(request: UpgradeRequest): true | Refused {
    return this.parts.upgrades.check(request, this.current === 'ready')
  }

  misplaced(path: string, endpoint: string): Refused {
    return this.parts.upgrades.misplaced(path, endpoint)
  }

  open(socket: EngineSocket, request: UpgradeRequest): SocketHandlers {
    const { proxies, connections } = this.parts
    const { address } = proxies.clientOf(request.remoteAddress, (name) => request.headers[name], request.secure)
    return connections.open(socket, address, { ...request, remoteAddress: address })
  }

  /** @internal */
  openInProcess(socket: EngineSocket, access: Access): SocketHandlers | undefined {
    return this.current === 'ready' ? this.parts.connections.openInProcess(socket, access) : undefined
  }

  private async listensAt(server: Server): Promise<void> {
    const address = server.address()
    // Only programs on this machine can reach a socket in the file system.
    if (typeof address === 'string' || address === null) this.authenticator.listensOn(String(address), true)
    else this.authenticator.listensOn(address.address, await isLoopback(address.address))
  }

  /** Its clients only get `unauthenticated`, so the program must learn why even without a log. */
  private exposed(error: Error): void {
    this.log.error({ err: error }, 'hub is reachable from other machines without authentication')
    if (!this.log.isLevelEnabled('error')) process.emitWarning(error.message, { type: 'FanfareWarning' })
  }

  private async openBroker(): Promise<void> {
    this.requireOpen()
    await this.broker.open(this.parts.brokerEvents)
    await this.parts.streams.open(this.config.streams)
    await this.parts.queues.open(this.config.queues)
    // Last: once other nodes know this node, they may send it questions.
    await this.bus.open(this.parts.busEvents)
    this.requireOpen()
    this.current = 'ready'
    this.parts.monitor.start()
  }

  /** Throws `shutting_down`. */
  private requireOpen(): void {
    if (this.closing) throw new FanfareError('shutting_down')
  }
}
