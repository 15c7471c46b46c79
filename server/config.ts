import { z } from 'zod'
import type { Contract } from '../shared/contract.ts'
import type { QueueDeclaration, StreamDeclaration } from '../shared/declarations.ts'
import { FanfareError } from '../shared/errors.ts'
import type { Duration } from '../shared/time.ts'
import { AuthConfig, type AuthOptions } from './auth/auth-config.ts'
import { IN_MEMORY } from './broker/load-broker.ts'
import { DEFAULTS } from './defaults.ts'
import { ENGINE_NAMES } from './engine/load-engine.ts'
import { faultOf } from './failure/schema-fault.ts'
import { AllowedOrigins, TrustedProxies } from './network/peer-config.ts'
import { QueueConfig } from './queue/queue-config.ts'
import { StreamConfig } from './stream/stream-config.ts'
import { durationFrom } from './time/time-params.ts'
import { TlsConfig, type TlsOptions } from './tls/tls-config.ts'
import { problemsOf } from './topic/contracts.ts'

/** The longest duration of an option, in milliseconds, as in frames: a longer one is a mistake of unit. */
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

/** Options of a hub. Every one has a default: see `DEFAULTS`. Sizes are in bytes. Durations are text such as `'30s'`, or milliseconds. */
export interface HubOptions {
  /** Address to listen on: `127.0.0.1` by default, so that nobody else reaches the hub. */
  readonly host?: string | undefined
  /** Port to listen on, 4747 by default; 0 for a free one, which `hub.port` tells. */
  readonly port?: number | undefined
  /** Path of the WebSocket endpoint: `/` by default. */
  readonly path?: string | undefined
  /** `'ws'`, `'uws'` (needs uWebSockets.js), or `'auto'`, the default: `uws` where it is installed. */
  readonly engine?: 'auto' | 'ws' | 'uws' | undefined
  /** Of the log of `fanfare serve`: `info` by default. A hub inside a program logs to the logger that it was given. */
  readonly logLevel?: 'debug' | 'info' | 'warn' | 'error' | 'silent' | undefined
  /** Of the same log: `'text'` for people, `'json'` for programs, or `'auto'`, the default: text if standard error is a terminal. */
  readonly logFormat?: 'auto' | 'text' | 'json' | undefined
  /** Data directory of streams and queues. `memory`, the default inside a program, keeps them as long as the process lives. */
  readonly data?: string | undefined
  /**
   * How long a starting hub waits for another hub on the same data directory to end: 15 s by default, a little more than a drain
   * takes. After that it does not start (`data_locked`). With 0 it does not wait.
   */
  readonly lockWait?: Duration | undefined
  /**
   * Where hubs of a cluster meet: `redis://user:password@host:6379`, `rediss://…` with TLS, `redis+sentinel://host1:26379,host2:26379/primary`.
   * All hubs with the same Redis and prefix are one: what is published at one reaches subscribers of all. They keep no streams and
   * queues yet. `off` by default. Needs the package `ioredis`.
   */
  readonly cluster?: string | undefined
  /** File with the password of that Redis, which takes precedence over the one in the URL. */
  readonly clusterPasswordFile?: string | undefined
  /** File with the certificates (PEM) that the certificate of that Redis is checked with: those of the system by default. */
  readonly clusterCaFile?: string | undefined
  /** What all keys and channels in that Redis begin with, so that several clusters can share it: `fanfare` by default. */
  readonly clusterPrefix?: string | undefined
  /** Name of this hub among the others, for people: the name of the machine by default. */
  readonly nodeName?: string | undefined
  /** Streams to be there; what is declared here is stronger than what was declared before. */
  readonly streams?: readonly StreamDeclaration[] | undefined
  /** Queues to be there, likewise. */
  readonly queues?: readonly QueueDeclaration[] | undefined
  /**
   * What `defineTopics` made: what breaks it is refused (`bad_data`), and reaches nobody. Topics, queues and requests of
   * which it says nothing carry anything, as all do without it. For a hub inside a program alone.
   */
  readonly topics?: Contract | undefined
  /** Who may do what. On a loopback address everybody may do everything by default; elsewhere one has to say who. */
  readonly auth?: AuthOptions | undefined
  /**
   * Pages of which other sites may use the hub: `https://app.example.com`, or `*` for any. Those of its own host may, and on a
   * loopback address those that this machine serves. `null` are pages from the disk, but also any site's sandboxed frames.
   */
  readonly allowedOrigins?: readonly string[] | undefined
  /**
   * Proxies in front of the hub, as addresses or networks (`10.0.0.0/8`): what they say in `X-Forwarded-For`, `-Proto` and `-Host`
   * is believed. None by default.
   */
  readonly trustedProxies?: readonly string[] | undefined
  /**
   * The hub itself speaks TLS 1.2 and 1.3, and nothing else on its port. Not by default, and not for a hub that is attached to a
   * server: there it is the server that does. Files that change are read again: new connections get the new certificate, open ones
   * stay; see also `hub.reloadCertificate`. What cannot be used is `bad_config` at start, and later logged.
   */
  readonly tls?: TlsOptions | undefined
  /**
   * A publish with an id that came within this time is a duplicate: two minutes by default. An id belongs to one publisher (the
   * authenticated subject; all anonymous clients are one publisher) and one destination (the topic published to, or the queue enqueued
   * to): the same id of another subject, on another topic or queue, or after everything it went to has been deleted or purged, is
   * another message.
   */
  readonly dedupWindow?: Duration | undefined
  /** Most ids that are remembered for that, the newest ones: a million by default. */
  readonly dedupIds?: number | undefined
  /** Maximum cursors per stream: 10,000 by default. One more is refused (`cursor_limit`), unless others are idle. */
  readonly cursorsPerStream?: number | undefined
  /**
   * A cursor that has not been used for this long is removed when its stream has `cursorsPerStream` of them and another is
   * stored: 30 days by default.
   */
  readonly cursorIdle?: Duration | undefined
  /** Bound of one connection's outbox: 1 MiB by default. */
  readonly outboxBytes?: number | undefined
  /** Bound on what all outboxes hold together: 256 MiB by default. */
  readonly outboxTotalBytes?: number | undefined
  /** Largest WebSocket message that the hub takes: 256 KiB by default; smaller than `outboxBytes`. */
  readonly frameBytes?: number | undefined
  /**
   * `on` compresses messages of 1 kB and more for clients that offer it (RFC 7692; on uws up to 15 kB): less to transfer, for more
   * CPU, on ws once for all who get the same, on uws for each of them. `off` by default. `frameBytes` bounds what comes after it
   * is unpacked.
   */
  readonly compression?: 'off' | 'on' | undefined
  /** Most subscriptions, and most consumers, of one connection: 1000 by default. */
  readonly subscriptions?: number | undefined
  /** Most unacknowledged publishes and requests of one connection: 256 by default. */
  readonly window?: number | undefined
  /** Maximum unanswered calls per connection: 64 by default. One more is refused (`too_many_calls`), and the connection goes on. */
  readonly calls?: number | undefined
  /** A connection is pinged this often, and ended when nothing was heard for two of these: 25 s by default. */
  readonly pingInterval?: Duration | undefined
  /** A connection that says nothing for so long is ended: 10 s by default. */
  readonly helloTimeout?: Duration | undefined
  /** Longest time that `hub.close()` takes: 10 s by default. */
  readonly drainTimeout?: Duration | undefined
  /**
   * Most connections at once: 50,000 by default; one more is refused with status 503 (`hub_full`). As many connections may speak HTTP
   * besides: of one more, the one that the hub has waited for longest is closed. 0 for no limit, here and below. Clients of
   * `hub.connect()` do not count, and no limit for an address or for a second holds for them.
   */
  readonly maxConnections?: number | undefined
  /**
   * Most connections at once from one address: 1000 by default; one more is refused with status 429 (`address_limit`). As many may
   * speak HTTP besides, likewise. Not for loopback addresses, from which a proxy brings all of its clients.
   */
  readonly connectionsPerAddress?: number | undefined
  /**
   * Connections that an address may open in a second: 100 by default, and at once as many as it may have open, for they may all
   * come back together. Likewise.
   */
  readonly connectsPerSecondPerAddress?: number | undefined
  /**
   * Frames that a connection may send in a second; acks count too. No limit by default: the window and the outbox bound what a
   * connection costs, and counting costs something for each message. What is beyond is refused (`rate_limited`), and who goes on
   * for ten seconds' worth of it loses the connection (`flooding`).
   */
  readonly messagesPerSecond?: number | undefined
  /** Bytes that a connection may send in a second, at once at least `frameBytes`. No limit by default; likewise. */
  readonly bytesPerSecond?: number | undefined
  /** Frames that all connections of one subject may send in a second, together. Not for the anonymous, who are many. Likewise. */
  readonly identityMessagesPerSecond?: number | undefined
  /** Bytes, likewise. */
  readonly identityBytesPerSecond?: number | undefined
  /**
   * Subscriptions, consumers and offers to respond that a connection may begin in a second: 1000 by default, and at once at least
   * `subscriptions`, for they all come back with a new connection.
   */
  readonly subscribesPerSecond?: number | undefined
  /**
   * Maximum memory that the subscriptions, consumers and offers to respond of all connections take up, by an estimate in bytes: by
   * default a quarter of the largest heap that Node.js allows the process. One that would exceed it is refused (`hub_full`), and its
   * connection goes on. No limit with 0.
   */
  readonly subscriptionBytes?: number | undefined
  /**
   * Maximum bytes of publishes that wait for room in a queue whose `overflow` is `block`, of all publishers together: 64 MiB by
   * default. A publish that would exceed it is refused (`waiting_limit`). No limit with 0.
   */
  readonly waitingPublishBytes?: number | undefined
  /**
   * Maximum number of streams: 20,000 by default. A client that declares one more is refused (`too_many_streams`). Those of the
   * configuration and of the data directory are always there, and count. 0 for no limit.
   */
  readonly maxStreams?: number | undefined
  /** Maximum number of queues: 20,000 by default (`too_many_queues`). Likewise. */
  readonly maxQueues?: number | undefined
  /**
   * Maximum number of patterns that all streams capture together, and of bindings that all queues have: 100,000 each by default
   * (`too_many_patterns`). Likewise.
   */
  readonly maxPatterns?: number | undefined
}

/** The options of which a hub that is attached to a server has no use: the server listens, and speaks TLS. */
export const LISTENING_OPTIONS = ['host', 'port', 'engine', 'tls'] as const

/** Options of a hub that is attached to a server, or that listens nowhere. */
export type EmbeddedHubOptions = Omit<HubOptions, (typeof LISTENING_OPTIONS)[number]>

/** Checks the options and completes them; it has to know the same ones. */
export const HubConfig = z
  .strictObject({
    host: z.string().min(1).default(DEFAULTS.host),
    port: port.default(DEFAULTS.port),
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
 * Completes and checks a configuration. `sources` has the variable, flag or file that an option comes from, by its path.
 *
 * Throws `bad_config`, which names every field that is wrong, its source, its value, and what is expected.
 */
export function checkConfig(options: unknown, sources: Readonly<Record<string, string>> = {}): HubConfig {
  const result = HubConfig.safeParse(options)
  if (result.success) return result.data
  const problems = result.error.issues.map((issue) => problemOf(issue, options, sources))
  // A number may be wrong in two ways at once.
  throw new FanfareError('bad_config', [...new Set(problems)].join(' '))
}

function problemOf(issue: z.core.$ZodIssue, options: unknown, sources: Readonly<Record<string, string>>): string {
  const path = issue.path.map(String)
  const known = issue.code === 'unrecognized_keys' ? [...path, issue.keys[0] as string] : path
  const prefixes = known.map((_, at) => known.slice(0, known.length - at).join('.'))
  const source = prefixes.map((prefix) => sources[prefix]).find((each) => each !== undefined)
  const secret = path[0] === 'auth' && path.length > 2
  return faultOf(issue, options, { whole: 'The configuration', from: source, secret })
}
