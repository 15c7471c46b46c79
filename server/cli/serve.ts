import { Command } from 'commander'
import type { Logger } from 'pino'
import type { HubConfig } from '../config.ts'
import { DEFAULTS } from '../defaults.ts'
import type { Hub } from '../index.ts'
import { type AuthFlags, addAuthFlags, authWith } from './auth-flags.ts'
import { readConfig } from './config-file.ts'
import { addNetworkFlags, type NetworkFlags, networkWith } from './network-flags.ts'

type OfTheirOwn = 'streams' | 'queues' | 'topics' | 'auth' | 'allowedOrigins' | 'trustedProxies' | 'tls'

/**
 * Streams and queues are declared in the file alone: they are lists. A contract needs a program. The others have flags of
 * their own: see `auth-flags.ts` and `network-flags.ts`.
 */
const FLAGS: Record<Exclude<keyof HubConfig, OfTheirOwn>, string> = {
  host: 'address to listen on',
  port: 'port to listen on, 0 for a free one',
  path: 'path of the WebSocket endpoint',
  engine: 'auto, ws or uws',
  logLevel: 'debug, info, warn, error or silent',
  data: 'data directory, or "memory" to keep nothing',
  dedupWindowMs: 'a publish with an id of this time is a duplicate',
  dedupIds: 'most ids that are remembered for that',
  cursorsPerStream: 'maximum cursors per stream',
  cursorIdleMs: 'a cursor that has not been used for this long makes room for another',
  outboxBytes: "bound of one connection's outbox",
  outboxTotalBytes: 'bound on all outboxes together',
  frameBytes: 'largest WebSocket message taken',
  compression: 'on or off: for clients that offer it',
  subscriptions: 'most subscriptions of one connection',
  window: 'most unacknowledged publishes of one connection',
  pingIntervalMs: 'a connection is pinged this often',
  helloTimeoutMs: 'time for a new connection to say something',
  drainTimeoutMs: 'longest time to close',
  maxConnections: 'most connections at once, 0 for no limit, here and below',
  connectionsPerAddress: 'most of them from one address that is not loopback',
  connectsPerSecondPerAddress: 'connections that such an address may open in a second',
  messagesPerSecond: 'frames that a connection may send in a second',
  bytesPerSecond: 'bytes that a connection may send in a second',
  identityMessagesPerSecond: 'frames of all connections of one subject',
  identityBytesPerSecond: 'bytes of all connections of one subject',
  subscribesPerSecond: 'subscriptions and consumers that a connection may begin in a second',
}

export function serveCommand(): Command {
  const command = new Command('serve').description('run a hub')
  command.option('--config <file>', 'JSON file with any of these options; environment and flags are stronger')
  for (const [name, text] of Object.entries(FLAGS)) {
    const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    command.option(`--${flag} <value>`, `${text} (${DEFAULTS[name as keyof typeof DEFAULTS]})`)
  }
  return addNetworkFlags(addAuthFlags(command)).action(serve)
}

async function serve({
  config: file,
  anonymous,
  jwtSecretFile,
  jwksUrl,
  allowedOrigins,
  trustedProxies,
  tlsCertFile,
  tlsKeyFile,
  ...flags
}: Record<string, string> & AuthFlags & NetworkFlags): Promise<void> {
  // What a hub is made of: other commands need none of it, and start in half of the time without it.
  const { pino } = await import('pino')
  const { checkConfig, configFromEnv, configFromText } = await import('../config.ts')
  const { startHub } = await import('../index.ts')
  const { auth = {}, ...fromFile } = await readConfig(file)
  const options = {
    data: DEFAULTS.data,
    ...fromFile,
    ...configFromEnv(process.env),
    ...configFromText(flags as Record<string, string>),
    ...networkWith(fromFile, { allowedOrigins, trustedProxies, tlsCertFile, tlsKeyFile } as NetworkFlags),
    auth: authWith(auth, { anonymous, jwtSecretFile, jwksUrl } as AuthFlags, process.env),
  }
  // Standard error, and at once: what a hub said last is what its operator wants to know.
  const log = pino(
    { level: checkConfig(options).logLevel, base: { pid: process.pid } },
    pino.destination({ dest: 2, sync: true }),
  )
  const starting = startHub(options, log)
  // At once, or it would end a hub that starts; but in a terminal it says that the terminal closes.
  if (options.tls || !process.stdin.isTTY) process.on('SIGHUP', () => void reload(starting, log))
  const hub = await starting
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info({ signal }, 'stopping')
      void hub.close().then(() => process.exit(0))
    })
  }
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
