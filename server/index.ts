/** `fanfare/server`: a hub inside your own program. */
import { type Logger, pino } from 'pino'
import { FanfareError } from '../shared/errors.ts'
import { Authenticator } from './auth/authenticator.ts'
import { isLoopback } from './auth/loopback.ts'
import { loadBroker, loadClusterBroker } from './broker/load-broker.ts'
import { loadBus } from './bus/load-bus.ts'
import { checkConfig, type EmbeddedHubOptions, type HubConfig, type HubOptions, LISTENING_OPTIONS } from './config.ts'
import { loadEngine } from './engine/load-engine.ts'
import { UnexpectedErrors } from './failure/unexpected-errors.ts'
import { type Hub, HubCore } from './hub.ts'
import { isPortInUse } from './network/port-probe.ts'
import { CertificateInUse } from './tls/certificate-in-use.ts'
import { version } from './version.ts'

export { type Contract, defineTopics, type Exchange, type Schema } from '../shared/contract.ts'
export type { QueueDeclaration, StreamDeclaration } from '../shared/declarations.ts'
export { FanfareError } from '../shared/errors.ts'
export type { Binding, Overflow } from '../shared/queues.ts'
export type { Duration } from '../shared/time.ts'
export { topicWord } from '../shared/topic.ts'
export type { ApiKey, AuthOptions, JwtOptions, KeySource } from './auth/auth-config.ts'
export type { Authenticate, Credentials, Identity, Permissions } from './auth/identity.ts'
export type { EmbeddedHubOptions, HubOptions } from './config.ts'
export { DEFAULTS } from './defaults.ts'
export type { Hub, HubState } from './hub.ts'
export type { Client, InProcessOptions } from './in-process/in-process.ts'
export type { TlsOptions } from './tls/tls-config.ts'

const SILENT = pino({ enabled: false })

/**
 * Starts a hub that listens on its own port. Without the option `data`, streams and queues are kept in memory. `log` is a pino
 * logger; without one the hub does not log.
 *
 * Throws `bad_config`, `engine_missing`, `port_in_use`, `data_locked`, `data_foreign`, `data_damaged`, `data_unusable`.
 */
export async function startHub(options: HubOptions = {}, log: Logger = SILENT): Promise<Hub> {
  const config = checkConfig(options)
  const engine = await loadEngine(config.engine)
  const authenticator = new Authenticator(config.auth, log)
  await authenticator.open()
  // A hub that must not listen there does not touch the data.
  authenticator.listensOn(config.host, await isLoopback(config.host))
  const certificate = config.tls && (await CertificateInUse.open(config.tls, log))
  await checkPort(config)
  const hub = await hubFor(config, authenticator, log)
  try {
    await hub.listen(engine, certificate)
  } catch (error) {
    // Otherwise the data directory would stay locked.
    await hub.close()
    throw error
  }
  return hub
}

async function checkPort({ host, port, reusePort }: HubConfig): Promise<void> {
  if (port === 0 || reusePort === 'on' || !(await isPortInUse(host, port))) return
  throw new FanfareError(
    'port_in_use',
    `The hub cannot listen on ${host}:${port}: another process listens there, perhaps another hub. Stop it, or choose another port.`,
  )
}

/**
 * Creates a hub for a server that you already have: call `await hub.attach(server)`, and pass it HTTP requests with `hub.handler`
 * or `hub.fetch(request)`. It also works without a server: `hub.connect()` is enough. Throws `bad_config`, and the errors of
 * `startHub` about data.
 */
export async function createHub(options: EmbeddedHubOptions = {}, log: Logger = SILENT): Promise<Hub> {
  const config = checkConfig(options)
  const listening = LISTENING_OPTIONS.find((name) => (options as HubOptions)[name] !== undefined)
  if (listening)
    throw new FanfareError(
      'bad_config',
      `${listening} is not an option of createHub(): it belongs to the server that the hub is attached to. A hub with a port of its own is made by startHub().`,
    )
  const authenticator = new Authenticator(config.auth, log)
  await authenticator.open()
  return hubFor(config, authenticator, log)
}

async function hubFor(config: HubConfig, authenticator: Authenticator, log: Logger): Promise<HubCore> {
  const unexpected = new UnexpectedErrors(log)
  const bus = await loadBus({ ...config, version }, log)
  const options = { ...config, unexpected }
  const broker = (await loadClusterBroker(options, log)) ?? (await loadBroker(config.data, options, log))
  return new HubCore(config, broker, bus, authenticator, log, undefined, unexpected)
}
