import { z } from 'zod'
import type { Contract } from '../shared/contract.ts'
import type { QueueDeclaration, StreamDeclaration } from '../shared/declarations.ts'
import { FanfareError } from '../shared/errors.ts'
import type { Duration } from '../shared/time.ts'
import { AuthConfig, type AuthOptions } from './auth/auth-config.ts'
import { IN_MEMORY } from './broker/load-broker.ts'
import { NO_CLUSTER } from './bus/load-bus.ts'
import { DEFAULTS } from './defaults.ts'
import { ENGINE_NAMES } from './engine/load-engine.ts'
import { faultOf } from './failure/schema-fault.ts'
import { AllowedOrigins, TrustedProxies } from './network/peer-config.ts'
import { QueueConfig } from './queue/queue-config.ts'
import { StreamConfig } from './stream/stream-config.ts'
import { durationFrom } from './time/time-params.ts'
import { TlsConfig, type TlsOptions } from './tls/tls-config.ts'
import { problemsOf } from './topic/contracts.ts'

/** Maximum of a duration, in milliseconds, as in frames: a longer one is a mistake in the unit. */
const YEAR_MS = 366 * 86_400_000

function whole(least: number, most: number, expected: string) {
  const error = `must be ${expected}`
  return z.number({ error }).int({ error }).min(least, { error }).max(most, { error })
}

const port = whole(0, 65_535, 'an integer from 0 to 65535')
const count = whole(1, Number.MAX_SAFE_INTEGER, 'an integer, 1 or more')
const bytes = whole(1, Number.MAX_SAFE_INTEGER, 'an integer number of bytes, 1 or more')
const time = durationFrom(1, YEAR_MS, 'from 1 ms to 366 days')
const wait = durationFrom(0, YEAR_MS, 'from 0 to 366 days')
const limit = whole(0, Number.MAX_SAFE_INTEGER, 'an integer, 0 or more (0 means no limit)')

function oneOf<const Values extends readonly string[]>(values: Values) {
  return z.enum(values, { error: `must be one of ${values.join(', ')}` })
}

function refuseTwins(streams: readonly { name: string }[], context: z.RefinementCtx): void {
  const names = new Set<string>()
  for (const [at, { name }] of streams.entries()) {
    if (names.has(name))
      context.addIssue({ code: 'custom', path: [at, 'name'], message: `is declared twice: "${name}"` })
    names.add(name)
  }
}

const contract = z.custom<Contract>().superRefine((value, context) => {
  for (const message of problemsOf(value)) context.addIssue({ code: 'custom', message })
})

/** Options of a hub. Each has a default, see `DEFAULTS`. Sizes are in bytes. Durations are text such as `'30s'`, or milliseconds. */
export interface HubOptions {
  /** Address to listen on. With the default only programs on the same machine reach the hub; on any other address it requires `auth`. */
  readonly host?: string | undefined
  /** Port to listen on; 0 picks a free one, which `hub.port` returns. */
  readonly port?: number | undefined
  /**
   * `'on'` shares the port with other hubs of the cluster on this machine that set it too; the system spreads new connections over them.
   * Needs `cluster` and Linux, and on the engine ws Node 22.12, 23.1 or later.
   */
  readonly reusePort?: 'off' | 'on' | undefined
  /** Path of the WebSocket endpoint. */
  readonly path?: string | undefined
  /** WebSocket engine: `'ws'`, `'uws'` (needs the package uWebSockets.js), or `'auto'` for uws if it is installed. */
  readonly engine?: 'auto' | 'ws' | 'uws' | undefined
  /** Log level of `fanfare serve`. A hub inside a program logs to the logger that it was given. */
  readonly logLevel?: 'debug' | 'info' | 'warn' | 'error' | 'silent' | undefined
  /** Log format of `fanfare serve`: `'text'` for people, `'json'` for programs, `'auto'` for text if standard error is a terminal. */
  readonly logFormat?: 'auto' | 'text' | 'json' | undefined
  /** Data directory of streams and queues. `'memory'`, the default inside a program, keeps them only while the process runs. */
  readonly data?: string | undefined
  /**
   * How long a starting hub waits for another hub on the same data directory to stop. After that it fails with `data_locked`. 0 does
   * not wait.
   */
  readonly lockWait?: Duration | undefined
  /**
   * Redis that connects the hubs of a cluster: `redis://user:password@host:6379`, `rediss://…` for TLS,
   * `redis+sentinel://host1:26379,host2:26379/primary`, or `redis+cluster://host1:6379,host2:6379`. Hubs with the same Redis and prefix act as one: a message published to one
   * reaches subscribers of all. Streams and queues are kept in that Redis. Needs the package `ioredis`.
   * `'off'` is a single hub.
   */
  readonly cluster?: string | undefined
  /** File with the password of Redis. It takes precedence over the one in the URL. */
  readonly clusterPasswordFile?: string | undefined
  /** File with the CA certificates (PEM) that verify the certificate of Redis. By default the system's certificates. */
  readonly clusterCaFile?: string | undefined
  /** Prefix of all keys and channels in Redis, so that several clusters can share it. */
  readonly clusterPrefix?: string | undefined
  /**
   * What streams need of Redis. `'strict'`: it keeps everything that it has acknowledged when it is killed (`appendfsync always`),
   * or declaring a stream fails. `'relaxed'`: acknowledged messages may be lost; readers of their streams are told by a new epoch.
   */
  readonly clusterDurability?: 'strict' | 'relaxed' | undefined
  /** Replicas of Redis that must have a message before it is acknowledged or delivered. Name all of them, or a failover can lose messages. */
  readonly clusterReplicas?: number | undefined
  /** Display name of this hub in the cluster. By default the name of the machine. */
  readonly nodeName?: string | undefined
  /** Streams that exist when the hub starts. Options given here replace those that a stream had before. */
  readonly streams?: readonly StreamDeclaration[] | undefined
  /** Queues that exist when the hub starts. Options given here replace those that a queue had before. */
  readonly queues?: readonly QueueDeclaration[] | undefined
  /**
   * Result of `defineTopics`: messages that violate it are refused with `bad_data`. Topics, queues and requests that it does not name
   * accept any data. Only for a hub inside a program.
   */
  readonly topics?: Contract | undefined
  /** Authentication and permissions. By default every client on a loopback address may do everything; on other addresses `auth` is required. */
  readonly auth?: AuthOptions | undefined
  /**
   * Origins whose pages may use the hub, such as `https://app.example.com`, or `*` for any. Pages of the hub's own host always may, and on
   * a loopback address also pages served by this machine. `null` is the origin of pages opened from disk, and of sandboxed frames of any site.
   */
  readonly allowedOrigins?: readonly string[] | undefined
  /**
   * Proxies in front of the hub, as addresses or networks (`10.0.0.0/8`): their `X-Forwarded-For`, `-Proto` and `-Host` headers are
   * trusted. None by default.
   */
  readonly trustedProxies?: readonly string[] | undefined
  /**
   * Certificate and key for TLS 1.2 and 1.3: the hub then accepts nothing else on its port. Not for a hub attached to a server, which
   * terminates TLS itself. Changed files are loaded again: new connections get the new certificate, open ones stay; see
   * `hub.reloadCertificate`. An unusable certificate is `bad_config` at start, and logged later.
   */
  readonly tls?: TlsOptions | undefined
  /**
   * How long message ids are remembered: a publish with an id seen within this time is a duplicate. An id belongs to one publisher (the
   * authenticated subject; all anonymous clients are one publisher) and one destination (the topic or queue): the same id from
   * another subject, or on another topic or queue, is another message.
   */
  readonly dedupWindow?: Duration | undefined
  /** Maximum ids remembered for deduplication; the oldest are forgotten first. */
  readonly dedupIds?: number | undefined
  /** Maximum cursors per stream. One more is refused with `cursor_limit`, unless another is idle. */
  readonly cursorsPerStream?: number | undefined
  /** A cursor unused for this long is removed when its stream has `cursorsPerStream` cursors and another is stored. */
  readonly cursorIdle?: Duration | undefined
  /** Maximum size of the outbox (send buffer) of a connection. */
  readonly outboxBytes?: number | undefined
  /** Maximum size of all outboxes together. */
  readonly outboxTotalBytes?: number | undefined
  /** Maximum size of a WebSocket message that the hub accepts. Must be smaller than `outboxBytes`. */
  readonly frameBytes?: number | undefined
  /**
   * `'on'` compresses messages of 1 kB and more for clients that offer it (RFC 7692; on uws up to 15 kB): less traffic for more CPU, on ws once
   * per message, on uws once per client. `frameBytes` applies after decompression.
   */
  readonly compression?: 'off' | 'on' | undefined
  /** Maximum subscriptions, and maximum consumers, per connection. */
  readonly subscriptions?: number | undefined
  /** Maximum unacknowledged publishes and requests per connection. */
  readonly window?: number | undefined
  /** Maximum unanswered calls per connection. One more is refused with `too_many_calls`; the connection stays open. */
  readonly calls?: number | undefined
  /** Interval of pings. A connection that sends nothing for two of them is closed. */
  readonly pingInterval?: Duration | undefined
  /** A connection that sends no frame for this long after it opened is closed. */
  readonly helloTimeout?: Duration | undefined
  /**
   * Maximum time that `hub.close()` takes. A hub of a cluster moves its clients to the other hubs during this time, a few at a time; a hub
   * without others tells all of its clients at once.
   */
  readonly drainTimeout?: Duration | undefined
  /**
   * Maximum WebSocket connections; one more is refused with status 503 (`hub_full`). As many HTTP connections are allowed in addition:
   * one more closes the one that the hub has waited for longest. 0 means no limit. Clients of `hub.connect()` do not count.
   */
  readonly maxConnections?: number | undefined
  /**
   * Maximum WebSocket connections per IP address; one more is refused with status 429 (`address_limit`). As many HTTP connections are
   * allowed in addition. 0 means no limit. Does not apply to loopback addresses and trusted proxies.
   */
  readonly connectionsPerAddress?: number | undefined
  /**
   * Maximum new connections per second and IP address, with bursts up to `connectionsPerAddress`, because all clients of an address may
   * reconnect at once. 0 means no limit.
   */
  readonly connectsPerSecondPerAddress?: number | undefined
  /**
   * Maximum frames per second and connection, acks included. Excess frames are refused with `rate_limited`; a connection that continues
   * for ten seconds' worth of them is closed (`flooding`). 0 means no limit.
   */
  readonly messagesPerSecond?: number | undefined
  /** Maximum bytes per second and connection, with bursts of at least `frameBytes`. 0 means no limit. */
  readonly bytesPerSecond?: number | undefined
  /** Maximum frames per second of all connections of one authenticated subject. 0 means no limit. */
  readonly identityMessagesPerSecond?: number | undefined
  /** Maximum bytes per second of all connections of one authenticated subject. 0 means no limit. */
  readonly identityBytesPerSecond?: number | undefined
  /**
   * Maximum new subscriptions, consumers and responders per second and connection, with bursts of at least `subscriptions`, because a new
   * connection brings all of them back. 0 means no limit.
   */
  readonly subscribesPerSecond?: number | undefined
  /**
   * Maximum memory, estimated, of the subscriptions, consumers and responders of all connections. One that would exceed it is refused
   * with `hub_full`; the connection stays open. 0 means no limit.
   */
  readonly subscriptionBytes?: number | undefined
  /**
   * Maximum bytes of publishes that wait for space in queues with `overflow: 'block'`, of all publishers together. One that would exceed it is
   * refused with `waiting_limit`. 0 means no limit.
   */
  readonly waitingPublishBytes?: number | undefined
  /**
   * Maximum streams. A client that declares one more is refused with `too_many_streams`. Streams of the configuration and of the data
   * directory are always accepted, and count. 0 means no limit.
   */
  readonly maxStreams?: number | undefined
  /** Maximum queues (`too_many_queues`), counted in the same way. 0 means no limit. */
  readonly maxQueues?: number | undefined
  /** Maximum patterns captured by all streams, and maximum bindings of all queues (`too_many_patterns`). 0 means no limit. */
  readonly maxPatterns?: number | undefined
}

/** Options that a hub attached to a server does not have: the server listens and speaks TLS. */
export const LISTENING_OPTIONS = ['host', 'port', 'reusePort', 'engine', 'tls'] as const

/** Options of a hub that is attached to a server, or that does not listen. */
export type EmbeddedHubOptions = Omit<HubOptions, (typeof LISTENING_OPTIONS)[number]>

/** Checks the options and fills in the defaults. It must cover the same options as `HubOptions`. */
export const HubConfig = z
  .strictObject({
    host: z.string().min(1).default(DEFAULTS.host),
    port: port.default(DEFAULTS.port),
    reusePort: oneOf(['off', 'on']).default(DEFAULTS.reusePort),
    path: z.string().startsWith('/').default(DEFAULTS.path),
    engine: oneOf(ENGINE_NAMES).default(DEFAULTS.engine),
    logLevel: oneOf(['debug', 'info', 'warn', 'error', 'silent']).default(DEFAULTS.logLevel),
    logFormat: oneOf(['auto', 'text', 'json']).default(DEFAULTS.logFormat),
    data: z.string().min(1).default(IN_MEMORY),
    lockWait: wait.prefault(DEFAULTS.lockWait),
    cluster: z.string().min(1).default(DEFAULTS.cluster),
    clusterPasswordFile: z.string().default(DEFAULTS.clusterPasswordFile),
    clusterCaFile: z.string().default(DEFAULTS.clusterCaFile),
    clusterPrefix: z
      .string()
      .regex(/^[\w.-]{1,64}$/, { error: 'must be 1 to 64 letters, digits, "_", "-" or "."' })
      .default(DEFAULTS.clusterPrefix),
    clusterDurability: oneOf(['strict', 'relaxed']).default(DEFAULTS.clusterDurability),
    clusterReplicas: whole(0, 100, 'an integer from 0 to 100').default(DEFAULTS.clusterReplicas),
    nodeName: z.string().max(64).default(DEFAULTS.nodeName),
    streams: z.array(StreamConfig).superRefine(refuseTwins).default([]),
    queues: z.array(QueueConfig).superRefine(refuseTwins).default([]),
    topics: contract.optional(),
    auth: AuthConfig.default(AuthConfig.parse({})),
    allowedOrigins: AllowedOrigins.default([]),
    trustedProxies: TrustedProxies.default([]),
    tls: TlsConfig.optional(),
    dedupWindow: time.prefault(DEFAULTS.dedupWindow),
    dedupIds: count.default(DEFAULTS.dedupIds),
    cursorsPerStream: count.default(DEFAULTS.cursorsPerStream),
    cursorIdle: time.prefault(DEFAULTS.cursorIdle),
    outboxBytes: bytes.default(DEFAULTS.outboxBytes),
    outboxTotalBytes: bytes.default(DEFAULTS.outboxTotalBytes),
    frameBytes: bytes.default(DEFAULTS.frameBytes),
    compression: oneOf(['off', 'on']).default(DEFAULTS.compression),
    subscriptions: count.default(DEFAULTS.subscriptions),
    window: count.default(DEFAULTS.window),
    calls: count.default(DEFAULTS.calls),
    pingInterval: time.prefault(DEFAULTS.pingInterval),
    helloTimeout: time.prefault(DEFAULTS.helloTimeout),
    drainTimeout: time.prefault(DEFAULTS.drainTimeout),
    maxConnections: limit.default(DEFAULTS.maxConnections),
    connectionsPerAddress: limit.default(DEFAULTS.connectionsPerAddress),
    connectsPerSecondPerAddress: limit.default(DEFAULTS.connectsPerSecondPerAddress),
    messagesPerSecond: limit.default(DEFAULTS.messagesPerSecond),
    bytesPerSecond: limit.default(DEFAULTS.bytesPerSecond),
    identityMessagesPerSecond: limit.default(DEFAULTS.identityMessagesPerSecond),
    identityBytesPerSecond: limit.default(DEFAULTS.identityBytesPerSecond),
    subscribesPerSecond: limit.default(DEFAULTS.subscribesPerSecond),
    subscriptionBytes: limit.default(DEFAULTS.subscriptionBytes),
    waitingPublishBytes: limit.default(DEFAULTS.waitingPublishBytes),
    maxStreams: limit.default(DEFAULTS.maxStreams),
    maxQueues: limit.default(DEFAULTS.maxQueues),
    maxPatterns: limit.default(DEFAULTS.maxPatterns),
  } satisfies Record<keyof HubOptions, z.ZodType>)
  .refine((config) => config.frameBytes < config.outboxBytes, {
    path: ['frameBytes'],
    message: 'must be smaller than outboxBytes, or the largest message never fits',
  })
  .refine((config) => config.reusePort === 'off' || config.cluster !== NO_CLUSTER, {
    path: ['reusePort'],
    message: 'needs cluster, or clients of one port would reach hubs that do not know of each other',
  })
  .transform(({ lockWait, dedupWindow, cursorIdle, pingInterval, helloTimeout, drainTimeout, ...config }) => ({
    ...config,
    lockWaitMs: lockWait,
    dedupWindowMs: dedupWindow,
    cursorIdleMs: cursorIdle,
    pingIntervalMs: pingInterval,
    helloTimeoutMs: helloTimeout,
    drainTimeoutMs: drainTimeout,
  })) satisfies z.ZodType<unknown, HubOptions>
export type HubConfig = z.infer<typeof HubConfig>

/**
 * Completes and checks a configuration. `sources` maps the path of an option to the variable, flag or file that set it.
 *
 * Throws `bad_config`, which names every field that is wrong, its source, its value, and what is expected.
 */
export function checkConfig(options: unknown, sources: Readonly<Record<string, string>> = {}): HubConfig {
  const result = HubConfig.safeParse(options)
  if (result.success) return result.data
  const problems = result.error.issues.map((issue) => problemOf(issue, options, sources))
  // A number can be wrong in two ways at once.
  throw new FanfareError('bad_config', [...new Set(problems)].join(' '))
}

function problemOf(issue: z.core.$ZodIssue, options: unknown, sources: Readonly<Record<string, string>>): string {
  const path = issue.path.map(String)
  const known = issue.code === 'unrecognized_keys' ? [...path, issue.keys[0] as string] : path
  const prefixes = known.map((_, at) => known.slice(0, known.length - at).join('.'))
  const source = prefixes.map((prefix) => sources[prefix]).find((each) => each !== undefined)
  const secret = path[0] === 'auth' && path.length > 2
  return faultOf(issue, options, { schema: HubConfig, whole: 'The configuration', from: source, secret })
}
