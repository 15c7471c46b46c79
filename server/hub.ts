import type { Server } from 'node:http'
import type { Logger } from 'pino'
import type { Clock } from '../shared/clock.ts'
import { FanfareError } from '../shared/errors.ts'
import { steadyClock } from '../shared/steady-clock.ts'
import type { Authenticator } from './auth/authenticator.ts'
import { isLoopback } from './auth/loopback.ts'
import type { Broker } from './broker/broker.ts'
import type { HubConfig } from './config.ts'
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
import { type HubParts, hubParts } from './hub-parts.ts'
import type { CertificateInUse } from './tls/certificate-in-use.ts'

/** `draining`: it accepts nothing more, and sends what waits. */
export type HubState = 'starting' | 'ready' | 'draining' | 'closed'

/**
 * A hub, made by `startHub` or `createHub`: its state, from start to end. `hubParts` builds what it is made of.
 */
export class Hub implements EngineApp {
  /** Answers HTTP requests; for an embedder who attached the hub to a server of his own. */
  readonly fetch: EngineApp['fetch']
  private readonly config: HubConfig
  private readonly log: Logger
  private readonly broker: Broker
  private readonly authenticator: Authenticator
  private readonly unexpected: UnexpectedErrors
  private readonly parts: HubParts
  private state: HubState = 'starting'
  private listener: Listener | undefined = undefined
  private certificate: CertificateInUse | undefined = undefined
  /** What `listen` or `attach` does, and `close`: each happens once, and all callers wait for the same promise. */
  private starting: Promise<void> | undefined = undefined
  private closing: Promise<void> | undefined = undefined

  constructor(
    config: HubConfig,
    broker: Broker,
    authenticator: Authenticator,
    log: Logger,
    machineClock: Clock = steadyClock,
    unexpected = new UnexpectedErrors(log),
  ) {
    this.config = config
    this.log = log
    this.broker = broker
    this.authenticator = authenticator
    this.unexpected = unexpected
    const clock = unexpected.guard(machineClock)
    this.parts = hubParts(
      { config, broker, authenticator, log, clock, unexpected },
      {
        accepts: () => this.state === 'ready',
        certificateExpiresAt: () => this.certificate?.current.expiresAt,
      },
    )
    this.fetch = this.parts.fetch
  }

  /** The port that is listened on, or 0 before `listen`. */
  get port(): number {
    return this.listener?.port ?? 0
  }

  /** Connections that are open now. */
  get connectionCount(): number {
    return this.parts.registry.count
  }

  /** What all outboxes hold together, in bytes. */
  get outboxBytes(): number {
    return this.parts.budget.bytes
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
    await this.openBroker()
    const listener = await engine.listen(this.config, this, certificate?.current)
    this.listener = listener
    this.certificate = certificate
    this.requireOpen()
    certificate?.watch((renewed) => listener.renew(renewed))
    this.started(engine.name)
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
    await this.openBroker()
    const { attachTo } = await import('./engine/ws-engine.ts')
    this.requireOpen()
    attachTo(server, this.config, this)
    this.started('ws')
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

  /**
   * Drains and closes: accepts nothing more, sends what is waiting, tells every client to reconnect, and ends within
   * `drainTimeoutMs`. A hub that is starting ends as soon as it has started. Every call returns the promise of the first one.
   */
  close(): Promise<void> {
    this.closing ??= this.drain()
    return this.closing
  }

  private async drain(): Promise<void> {
    const starting = this.state === 'starting' ? this.starting : undefined
    this.state = 'draining'
    // The caller of `listen` or `attach` learns why it did not start.
    if (starting) await starting.catch(() => {})
    this.certificate?.stop()
    this.listener?.stop()
    this.parts.httpConnections.drain()
    const { registry, connections, publisher, heartbeat, monitor, queues } = this.parts
    this.log.info({ connections: registry.count }, 'draining')
    publisher.stop()
    await connections.drain(this.config.drainTimeoutMs)
    heartbeat.stop()
    monitor.stop()
    queues.close()
    await this.broker.close()
    this.listener?.end()
    this.state = 'closed'
    this.log.info('closed')
  }

  accept(request: UpgradeRequest): true | Refused {
    return this.parts.upgrades.check(request, this.state === 'ready')
  }

  open(socket: EngineSocket, request: UpgradeRequest): SocketHandlers {
    const { proxies, connections } = this.parts
    const { address } = proxies.clientOf(request.remoteAddress, (name) => request.headers[name], request.secure)
    return connections.open(socket, address, { ...request, remoteAddress: address })
  }

  private async listensAt(server: Server): Promise<void> {
    const address = server.address()
    // A socket in the file system is of this machine.
    if (typeof address === 'string' || address === null) this.authenticator.listensOn(String(address), true)
    else this.authenticator.listensOn(address.address, await isLoopback(address.address))
  }

  private async openBroker(): Promise<void> {
    this.requireOpen()
    await this.parts.streams.open(this.config.streams)
    await this.parts.queues.open(this.config.queues)
    this.requireOpen()
  }

  /** Throws `shutting_down`. */
  private requireOpen(): void {
    if (this.closing) throw new FanfareError('shutting_down')
  }

  private started(engine: string): void {
    this.state = 'ready'
    this.parts.monitor.start(engine)
  }
}
