import { Command, Option } from 'commander'
import type { Logger } from 'pino'
import type { HubOptions } from '../config.ts'
import { DEFAULTS } from '../defaults.ts'
import type { Hub } from '../index.ts'
import { type AuthFlags, addAuthFlags, authWith } from './auth-flags.ts'
import { readConfig } from './config-file.ts'
import { withExamples } from './examples.ts'
import { addNetworkFlags, NETWORK, type NetworkFlags, networkWith } from './network-flags.ts'
import { fromEnv, fromFile, fromFlags } from './sources.ts'
import { stopOnSignals } from './stop-on-signals.ts'
import { size } from './table.ts'
import { readable } from './text-log.ts'

type OfTheirOwn = 'streams' | 'queues' | 'topics' | 'auth' | 'allowedOrigins' | 'trustedProxies' | 'tls'

const STORAGE = 'Storage:'
const CLUSTER = 'Cluster:'
const CONNECTIONS = 'Connections:'
const LIMITS = 'Limits:'
const LOG = 'Log:'

/**
 * Group and help text of each option. Options without a flag: streams and queues, which are lists and are declared in the file;
 * contracts, which need a program. `auth-flags.ts` and `network-flags.ts` define further flags.
 */
const FLAGS: Record<Exclude<keyof HubOptions, OfTheirOwn>, readonly [group: string, text: string]> = {
  port: [NETWORK, 'port to listen on; 0 picks a free one'],
  host: [NETWORK, 'address to listen on; any other than loopback requires authentication'],
  reusePort: [NETWORK, 'share the port with other hubs of the cluster on this machine: on or off'],
  path: [NETWORK, 'path of the WebSocket endpoint'],
  engine: [NETWORK, 'WebSocket engine: ws, uws, or auto for uws if it is installed'],
  compression: [NETWORK, 'compress messages for clients that offer it: on or off'],
  data: [STORAGE, 'data directory, or "memory" to store nothing on disk'],
  lockWait: [STORAGE, 'how long to wait for another hub on the data directory to stop'],
  dedupWindow: [STORAGE, 'how long message ids are remembered for deduplication'],
  dedupIds: [STORAGE, 'maximum message ids remembered for deduplication'],
  cursorsPerStream: [STORAGE, 'maximum cursors per stream'],
  cursorIdle: [STORAGE, 'how long a cursor must be unused before another may take its place'],
  cluster: [
    CLUSTER,
    'Redis that connects the hubs of a cluster: redis://host:6379, rediss://…, redis+sentinel://… or redis+cluster://…; off for a single hub',
  ],
  clusterPasswordFile: [CLUSTER, 'file with the password of Redis'],
  clusterCaFile: [CLUSTER, 'file with the CA certificates that verify Redis'],
  clusterPrefix: [CLUSTER, 'prefix of all keys and channels in Redis'],
  clusterDurability: [
    CLUSTER,
    'strict: streams and queues need a Redis that keeps what it acknowledges; relaxed: they do not',
  ],
  clusterReplicas: [CLUSTER, 'replicas that must have a message before it is acknowledged'],
  nodeName: [CLUSTER, 'name of this hub in the cluster'],
  pingInterval: [CONNECTIONS, 'interval of pings; a connection that is silent for two of them is closed'],
  helloTimeout: [CONNECTIONS, 'how long a new connection may take for its first frame'],
  drainTimeout: [CONNECTIONS, 'how long a shutdown may take'],
  frameBytes: [LIMITS, 'maximum size of a WebSocket message'],
  outboxBytes: [LIMITS, 'maximum size of the send buffer of a connection'],
  outboxTotalBytes: [LIMITS, 'maximum size of all send buffers'],
  subscriptionBytes: [LIMITS, 'maximum memory of all subscriptions and consumers, estimated'],
  waitingPublishBytes: [LIMITS, 'maximum size of publishes that wait for space in a full queue'],
  maxConnections: [LIMITS, 'maximum connections'],
  connectionsPerAddress: [LIMITS, 'maximum connections per IP address, except loopback'],
  connectsPerSecondPerAddress: [LIMITS, 'maximum new connections per second and IP address, except loopback'],
  subscriptions: [LIMITS, 'maximum subscriptions per connection'],
  window: [LIMITS, 'maximum unacknowledged publishes per connection'],
  calls: [LIMITS, 'maximum unanswered calls per connection'],
  subscribesPerSecond: [LIMITS, 'maximum new subscriptions, consumers and responders per second and connection'],
  messagesPerSecond: [LIMITS, 'maximum frames per second and connection'],
  bytesPerSecond: [LIMITS, 'maximum bytes per second and connection'],
  identityMessagesPerSecond: [LIMITS, 'maximum frames per second and authenticated subject'],
  identityBytesPerSecond: [LIMITS, 'maximum bytes per second and authenticated subject'],
  maxStreams: [LIMITS, 'maximum streams'],
  maxQueues: [LIMITS, 'maximum queues'],
  maxPatterns: [LIMITS, 'maximum patterns of all streams, and bindings of all queues'],
  logLevel: [LOG, 'debug, info, warn, error or silent'],
  logFormat: [LOG, 'json, text, or auto for text on a terminal'],
}

const SHORT: Readonly<Record<string, string>> = { port: '-p, ', data: '-d, ' }

/** Maximum bytes of log lines that wait while they cannot be written. */
const LOG_BYTES = 1024 * 1024

export function serveCommand(): Command {
  const command = new Command('serve')
    .description('run a hub')
    .option('-c, --config <file>', 'JSON file with any of these options, and with streams, queues and permissions')
    // One paragraph of the help explains the environment variables of all options.
    .configureHelp({ optionDescription: ({ description }) => description })
  for (const [name, [group, text]] of Object.entries(FLAGS)) {
    const flag = `${SHORT[name] ?? ''}--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} <value>`
    command.addOption(
      new Option(flag, `${text} (default: ${shownDefault(name as keyof typeof FLAGS)})`).helpGroup(group),
    )
  }
  addNetworkFlags(addAuthFlags(command)).action(serve)
  command.addHelpText(
    'after',
    `
Each option can also be set by an environment variable (FANFARE_PORT for --port) or in the file (port).
Flags take precedence over variables, and variables over the file. Sizes: 64kB, 1MiB, 2GB, or bytes.
Durations: 250ms, 30s, 5m, 2h, 7d, or milliseconds.
0 means no limit for connections, streams, queues and patterns, for the memory of subscriptions and of waiting
publishes, and for all limits per second.`,
  )
  return withExamples(
    command,
    ['fanfare serve'],
    ['fanfare serve --port 8080 --data /var/lib/fanfare --log-format json'],
    ['fanfare serve --host 0.0.0.0 --jwt-secret-file jwt.secret', 'reachable from other machines'],
    ['fanfare serve --config fanfare.json'],
  )
}

function shownDefault(name: keyof typeof FLAGS): string {
  // The default depends on the machine.
  if (name === 'subscriptionBytes') return "a quarter of Node's heap limit"
  if (name === 'nodeName') return 'name of the machine'
  const value = DEFAULTS[name]
  if (value === '') return 'none'
  if (typeof value !== 'number') return value
  if (value === 0 && FLAGS[name][0] === LIMITS) return 'no limit'
  if (/bytes$/i.test(name)) return size(value)
  return String(value)
}

type Flags = Record<string, string> & AuthFlags & NetworkFlags & { readonly config?: string }

async function serve(flags: Flags, command: Command): Promise<void> {
  // Loaded only here: other commands do not need a hub, and start in half the time without it.
  const { pino } = await import('pino')
  const { checkConfig } = await import('../config.ts')
  const { options, sources, ignored } = await gathered(flags, command)
  // Synchronously, to standard error: the last lines before the process ends are the ones that matter most.
  const output = pino.destination({ dest: 2, sync: true, maxLength: LOG_BYTES })
  // A full disk costs log lines, not the hub: lines wait until there is space again, and those beyond the limit are lost.
  output.on('error', () => {})
  const { logLevel: level, logFormat } = checkConfig(options, sources)
  const asText = logFormat === 'text' || (logFormat === 'auto' && process.stderr.isTTY === true)
  const log = pino({ level, base: { pid: process.pid } }, asText ? readableLog(output) : output)
  for (const variable of ignored)
    log.info({ variable }, 'environment variable ignored: Kubernetes set it for a Service of this name')
  // After the configuration was checked: a refusal comes in half the time.
  const { startHub } = await import('../index.ts')
  const starting = startHub(options, log)
  // Registered at once, because SIGHUP would end a starting hub. On a terminal it means that the terminal was closed.
  if (options.tls || !process.stdin.isTTY) process.on('SIGHUP', () => void reload(starting, log))
  stopOnSignals(starting, log)
  serveOn(await starting)
}

/** Writes each log line as text for people. */
function readableLog(output: { write(text: string): unknown }) {
  const coloured = process.stderr.isTTY === true && process.env['NO_COLOR'] === undefined
  return { write: (line: string) => void output.write(readable(line, coloured)) }
}

/** All options from file, environment and flags, with the source of each. */
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

/** Configuration paths of the options that have their own flags and variables. */
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
 * The last resort for an error that nothing else caught. The hub keeps running: ending the process would disconnect all clients for
 * what is most likely one client's problem, and again after each restart if a client or a stored message causes it. `/readyz`
 * answers 503 from then on, so that the operator decides when to restart.
 */
function serveOn(hub: Hub): void {
  process.on('uncaughtException', (error) => hub.escaped(error))
  process.on('unhandledRejection', (reason) => hub.escaped(reason))
}

async function reload(starting: Promise<Hub>, log: Logger): Promise<void> {
  log.info({ signal: 'SIGHUP' }, 'reloading the certificate')
  try {
    const hub = await starting
    await hub.reloadCertificate()
  } catch (error) {
    log.error({ err: error }, 'the certificate cannot be reloaded: keeping the previous one')
  }
}
