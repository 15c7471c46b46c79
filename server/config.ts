import { z } from 'zod'
import type { Contract } from '../shared/contract.ts'
import { FanfareError } from '../shared/errors.ts'
import { AuthConfig, type AuthOptions } from './auth/auth-config.ts'
import { IN_MEMORY } from './broker/load-broker.ts'
import { DEFAULTS } from './defaults.ts'
import { ENGINE_NAMES } from './engine/load-engine.ts'
import { AllowedOrigins, TrustedProxies } from './peer/peer-config.ts'
import { QueueConfig } from './queue/queue-config.ts'
import { StreamConfig } from './stream/stream-config.ts'
import { TlsConfig, type TlsOptions } from './tls/tls-config.ts'
import { problemsOf } from './topic/contracts.ts'

const count = z.number().int().positive()
/** 0 is no limit. */
const limit = z.number().int().min(0)

function refuseTwins(streams: readonly { name: string }[], context: z.RefinementCtx): void {
  for (const [at, { name }] of streams.entries()) {
    if (streams.findIndex((other) => other.name === name) === at) continue
    context.addIssue({ code: 'custom', path: [at, 'name'], message: `"${name}" is declared before` })
  }
}

const contract = z.custom<Contract>().superRefine((value, context) => {
  for (const message of problemsOf(value)) context.addIssue({ code: 'custom', message })
})

/** Options of a hub. Every one has a default: see `DEFAULTS`. Sizes are bytes, times milliseconds. */
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
  /** Data directory of streams and queues. `memory`, the default inside a program, keeps them as long as the process lives. */
  readonly data?: string | undefined
  /** Streams to be there; what is declared here is stronger than what was declared before. */
  readonly streams?: readonly z.input<typeof StreamConfig>[] | undefined
  /** Queues to be there, likewise. */
  readonly queues?: readonly z.input<typeof QueueConfig>[] | undefined
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
  /** A publish with an id that came within this time is a duplicate: two minutes by default. */
  readonly dedupWindowMs?: number | undefined
  /** Most ids that are remembered for that, the newest ones: a million by default. */
  readonly dedupIds?: number | undefined
  /** Maximum cursors per stream: 10,000 by default. One more is refused (`cursor_limit`), unless others are idle. */
  readonly cursorsPerStream?: number | undefined
  /**
   * A cursor that has not been used for this long is removed when its stream has `cursorsPerStream` of them and another is
   * stored: 30 days by default.
   */
  readonly cursorIdleMs?: number | undefined
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
  /** A connection is pinged this often, and ended when nothing was heard for two of these: 25 s by default. */
  readonly pingIntervalMs?: number | undefined
  /** A connection that says nothing for so long is ended: 10 s by default. */
  readonly helloTimeoutMs?: number | undefined
  /** Longest time that `hub.close()` takes: 10 s by default. */
  readonly drainTimeoutMs?: number | undefined
  /** Most connections at once: 50,000 by default; one more is refused with status 503 (`hub_full`). 0 for no limit, here and below. */
  readonly maxConnections?: number | undefined
  /**
   * Most connections at once from one address: 1000 by default; one more is refused with status 429 (`address_limit`). Not for
   * loopback addresses, from which a proxy brings all of its clients.
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
}

/** Checks the options and completes them; it has to know the same ones. */
export const HubConfig = z
  .strictObject({
    host: z.string().min(1).default(DEFAULTS.host),
    port: z.number().int().min(0).max(65_535).default(DEFAULTS.port),
    path: z.string().startsWith('/').default(DEFAULTS.path),
    engine: z.enum(ENGINE_NAMES).default(DEFAULTS.engine),
    logLevel: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default(DEFAULTS.logLevel),
    data: z.string().min(1).default(IN_MEMORY),
    streams: z.array(StreamConfig).superRefine(refuseTwins).default([]),
    queues: z.array(QueueConfig).superRefine(refuseTwins).default([]),
    topics: contract.optional(),
    auth: AuthConfig.default(AuthConfig.parse({})),
    allowedOrigins: AllowedOrigins.default([]),
    trustedProxies: TrustedProxies.default([]),
    tls: TlsConfig.optional(),
    dedupWindowMs: count.default(DEFAULTS.dedupWindowMs),
    dedupIds: count.default(DEFAULTS.dedupIds),
    cursorsPerStream: count.default(DEFAULTS.cursorsPerStream),
    cursorIdleMs: count.default(DEFAULTS.cursorIdleMs),
    outboxBytes: count.default(DEFAULTS.outboxBytes),
    outboxTotalBytes: count.default(DEFAULTS.outboxTotalBytes),
    frameBytes: count.default(DEFAULTS.frameBytes),
    compression: z.enum(['off', 'on']).default(DEFAULTS.compression),
    subscriptions: count.default(DEFAULTS.subscriptions),
    window: count.default(DEFAULTS.window),
    pingIntervalMs: count.default(DEFAULTS.pingIntervalMs),
    helloTimeoutMs: count.default(DEFAULTS.helloTimeoutMs),
    drainTimeoutMs: count.default(DEFAULTS.drainTimeoutMs),
    maxConnections: limit.default(DEFAULTS.maxConnections),
    connectionsPerAddress: limit.default(DEFAULTS.connectionsPerAddress),
    connectsPerSecondPerAddress: limit.default(DEFAULTS.connectsPerSecondPerAddress),
    messagesPerSecond: limit.default(DEFAULTS.messagesPerSecond),
    bytesPerSecond: limit.default(DEFAULTS.bytesPerSecond),
    identityMessagesPerSecond: limit.default(DEFAULTS.identityMessagesPerSecond),
    identityBytesPerSecond: limit.default(DEFAULTS.identityBytesPerSecond),
    subscribesPerSecond: limit.default(DEFAULTS.subscribesPerSecond),
  } satisfies Record<keyof HubOptions, z.ZodType>)
  .refine((config) => config.frameBytes < config.outboxBytes, {
    path: ['frameBytes'],
    message: 'has to be smaller than outboxBytes, or the largest message never fits',
  }) satisfies z.ZodType<unknown, HubOptions>
export type HubConfig = z.infer<typeof HubConfig>

/** Completes and checks a configuration. Throws `bad_config`, which names every field that is wrong. */
export function checkConfig(options: unknown): HubConfig {
  const result = HubConfig.safeParse(options)
  if (result.success) return result.data
  const problems = result.error.issues.map((issue) => `${issue.path.join('.') || 'options'}: ${issue.message}`)
  throw new FanfareError('bad_config', problems.join('; '))
}

/** The options that environment variables give: `FANFARE_OUTBOX_BYTES` is `outboxBytes`. */
export function configFromEnv(env: NodeJS.ProcessEnv): Record<string, unknown> {
  const options: Record<string, string> = {}
  for (const name of Object.keys(DEFAULTS)) {
    const value = env[`FANFARE_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`]
    if (value !== undefined) options[name] = value
  }
  return configFromText(options)
}

/** Options as flags and environment have them. What is no number where one is due stays text, and is refused by name. */
export function configFromText(options: Record<string, string>): Record<string, unknown> {
  const isNumber = (name: string, text: string) =>
    typeof DEFAULTS[name as keyof typeof DEFAULTS] === 'number' && /^\d+$/.test(text)
  return Object.fromEntries(
    Object.entries(options).map(([name, text]) => [name, isNumber(name, text) ? Number(text) : text]),
  )
}
