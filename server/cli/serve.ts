import { Command } from 'commander'
import type { Logger } from 'pino'
import type { HubOptions } from '../config.ts'
import { DEFAULTS } from '../defaults.ts'
import type { Hub } from '../index.ts'
import { type AuthFlags, addAuthFlags, authWith } from './auth-flags.ts'
import { readConfig } from './config-file.ts'
import { addNetworkFlags, type NetworkFlags, networkWith } from './network-flags.ts'
import { fromEnv, fromFile, fromFlags } from './sources.ts'
import { stopOnSignals } from './stop-on-signals.ts'

type OfTheirOwn = 'streams' | 'queues' | 'topics' | 'auth' | 'allowedOrigins' | 'trustedProxies' | 'tls'

/**
 * Streams and queues are declared in the file alone: they are lists. A contract needs a program. The others have flags of
 * their own: see `auth-flags.ts` and `network-flags.ts`.
 */
const FLAGS: Record<Exclude<keyof HubOptions, OfTheirOwn>, string> = {
  host: 'address to listen on',
  port: 'port to listen on, 0 for a free one',
  path: 'path of the WebSocket endpoint',
  engine: 'auto, ws or uws',
  logLevel: 'debug, info, warn, error or silent',
  data: 'data directory, or "memory" to keep nothing',
  lockWait: 'longest wait for another hub on the data directory to end',
  dedupWindow: 'a publish with an id of this time is a duplicate',
  dedupIds: 'most ids that are remembered for that',
  cursorsPerStream: 'maximum cursors per stream',
  cursorIdle: 'a cursor that has not been used for this long makes room for another',
  outboxBytes: "bound of one connection's outbox",
  outboxTotalBytes: 'bound on all outboxes together',
  frameBytes: 'largest WebSocket message taken',
  compression: 'on or off: for clients that offer it',
  subscriptions: 'most subscriptions of one connection',
  window: 'most unacknowledged publishes of one connection',
  calls: 'maximum unanswered calls per connection',
  pingInterval: 'a connection is pinged this often',
  helloTimeout: 'time for a new connection to say something',
  drainTimeout: 'longest time to close',
  maxConnections: 'most connections at once, 0 for no limit, here and below',
  connectionsPerAddress: 'most of them from one address that is not loopback',
  connectsPerSecondPerAddress: 'connections that such an address may open in a second',
  messagesPerSecond: 'frames that a connection may send in a second',
  bytesPerSecond: 'bytes that a connection may send in a second',
  identityMessagesPerSecond: 'frames of all connections of one subject',
  identityBytesPerSecond: 'bytes of all connections of one subject',
  subscriptionBytes: 'maximum memory of all subscriptions and consumers, estimated',
  waitingPublishBytes: 'maximum bytes of publishes that wait for room in a queue',
  subscribesPerSecond: 'subscriptions, consumers and responders that a connection may begin in a second',
  maxStreams: 'maximum number of streams that clients can bring it to',
  maxQueues: 'maximum number of queues that clients can bring it to',
  maxPatterns: 'maximum number of patterns of all streams, and of bindings of all queues',
}

/** Lines of the log that wait while they cannot be written, in bytes. */
const LOG_BYTES = 1024 * 1024

export function serveCommand(): Command {
  const command = new Command('serve').description('run a hub')
  command.option('--config <file>', 'JSON file with any of these options; environment and flags are stronger')
  for (const [name, text] of Object.entries(FLAGS)) {
    const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    command.option(`--${flag} <value>`, `${text} (${DEFAULTS[name as keyof typeof DEFAULTS]})`)
  }
  return addNetworkFlags(addAuthFlags(command)).action(serve)
}

type Flags = Record<string, string> & AuthFlags & NetworkFlags & { readonly config?: string }

async function serve(flags: Flags, command: Command): Promise<void> {
  // What a hub is made of: other commands need none of it, and start in half of the time without it.
  const { pino } = await import('pino')
  const { checkConfig } = await import('../config.ts')
  const { startHub } = await import('../index.ts')
  const { options, sources, ignored } = await gathered(flags, command)
  // Standard error, and at once: what a hub said last is what its operator wants to know.
  const output = pino.destination({ dest: 2, sync: true, maxLength: LOG_BYTES })
  // A disk that is full costs the log and not the hub: lines wait until there is room again, and those beyond the bound are lost.
  output.on('error', () => {})
  const log = pino({ level: checkConfig(options, sources).logLevel, base: { pid: process.pid } }, output)
  for (const variable of ignored)
    log.info({ variable }, 'ignored: Kubernetes sets it for a Service of this name, and it is not meant for the hub')
  const starting = startHub(options, log)
  // At once, or it would end a hub that starts; but in a terminal it says that the terminal closes.
  if (options.tls || !process.stdin.isTTY) process.on('SIGHUP', () => void reload(starting, log))
  stopOnSignals(starting, log)
  serveOn(await starting)
}

/** All options of file, environment and flags, with the source of each. */
async function gathered(flags: Flags, command: Command) {
  const { config: file, anonymous, jwtSecretFile, jwksUrl, ...others } = flags
  const { allowedOrigins, trustedProxies, tlsCertFile, tlsKeyFile, ...plain } = others
  const [inFile, inEnv, inFlags] = [fromFile(file, await readConfig(file)), fromEnv(process.env), fromFlags(plain)]
  const options = {
    data: DEFAULTS.data,
    ...inFile.options,
    ...inEnv.options,
    ...inFlags.options,
    ...networkWith(inFile.options, { allowedOrigins, trustedProxies, tlsCertFile, tlsKeyFile } as NetworkFlags),
    auth: authWith(inFile.options['auth'] ?? {}, { anonymous, jwtSecretFile, jwksUrl } as AuthFlags, process.env),
  }
  const sources = { ...inFile.sources, ...inEnv.sources, ...inFlags.sources, ...placesOf(command) }
  return { options, sources, ignored: inEnv.ignored }
}

/** The paths of what has flags and variables of its own. */
const PATHS: Record<keyof AuthFlags | keyof NetworkFlags, string> = {
  anonymous: 'auth.anonymous',
  jwtSecretFile: 'auth.jwt.keys',
  jwksUrl: 'auth.jwt.keys',
  allowedOrigins: 'allowedOrigins',
  trustedProxies: 'trustedProxies',
  tlsCertFile: 'tls.certFile',
  tlsKeyFile: 'tls.keyFile',
}

function placesOf(command: Command): Record<string, string> {
  const places: Record<string, string> = {}
  for (const option of command.options) {
    const path = PATHS[option.attributeName() as keyof typeof PATHS]
    const source = command.getOptionValueSource(option.attributeName())
    if (path === undefined || (source !== 'env' && source !== 'cli')) continue
    places[path] = (source === 'env' ? option.envVar : option.long) as string
  }
  return places
}

/**
 * The last resort for an error that nothing else stopped. The hub goes on: ending the process would cost all clients their
 * connection for what is most likely the trouble of one, and again after each restart if a client or a stored message causes it.
 * `/readyz` answers 503 from then on, so that the operator decides when to restart.
 */
function serveOn(hub: Hub): void {
  process.on('uncaughtException', (error) => hub.escaped(error))
  process.on('unhandledRejection', (reason) => hub.escaped(reason))
}

async function reload(starting: Promise<Hub>, log: Logger): Promise<void> {
  log.info({ signal: 'SIGHUP' }, 'reading the certificate again')
  try {
    const hub = await starting
    await hub.reloadCertificate()
  } catch (error) {
    log.error({ err: error }, 'the certificate cannot be read again: the one before stays')
  }
}
