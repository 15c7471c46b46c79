import { z } from 'zod'
import { FanfareError } from '../shared/errors.ts'
import { IN_MEMORY } from './broker/load-broker.ts'
import { ENGINE_NAMES } from './engine/load-engine.ts'
import { QueueConfig } from './queue/queue-config.ts'
import { StreamConfig } from './stream/stream-config.ts'

/** All defaults of a hub, with their units in the names. */
export const DEFAULTS = {
  host: '127.0.0.1',
  port: 4747,
  path: '/',
  engine: 'auto',
  logLevel: 'info',
  /** Data directory of `fanfare serve`; a hub inside a program keeps everything in memory unless told otherwise. */
  data: './fanfare-data',
  /** A publish with an id that came within this time is a duplicate. */
  dedupWindowMs: 120_000,
  /** Most ids that are remembered for that, the newest ones. */
  dedupIds: 1_000_000,
  /** Bound of one connection's outbox. */
  outboxBytes: 1024 * 1024,
  /** Bound on what all outboxes hold together. */
  outboxTotalBytes: 256 * 1024 * 1024,
  /** Largest WebSocket message that the hub takes. */
  frameBytes: 256 * 1024,
  /** Most subscriptions of one connection. */
  subscriptions: 1000,
  /** Most unacknowledged publishes of one connection. */
  window: 256,
  /** A connection is pinged this often, and ended when nothing was heard for two of these. */
  pingIntervalMs: 25_000,
  /** A connection that says nothing for so long is ended. */
  helloTimeoutMs: 10_000,
  /** Longest time that a hub takes to close. */
  drainTimeoutMs: 10_000,
} as const

const count = z.number().int().positive()

function refuseTwins(streams: readonly { name: string }[], context: z.RefinementCtx): void {
  for (const [at, { name }] of streams.entries()) {
    if (streams.findIndex((other) => other.name === name) === at) continue
    context.addIssue({ code: 'custom', path: [at, 'name'], message: `"${name}" is declared before` })
  }
}

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
    dedupWindowMs: count.default(DEFAULTS.dedupWindowMs),
    dedupIds: count.default(DEFAULTS.dedupIds),
    outboxBytes: count.default(DEFAULTS.outboxBytes),
    outboxTotalBytes: count.default(DEFAULTS.outboxTotalBytes),
    frameBytes: count.default(DEFAULTS.frameBytes),
    subscriptions: count.default(DEFAULTS.subscriptions),
    window: count.default(DEFAULTS.window),
    pingIntervalMs: count.default(DEFAULTS.pingIntervalMs),
    helloTimeoutMs: count.default(DEFAULTS.helloTimeoutMs),
    drainTimeoutMs: count.default(DEFAULTS.drainTimeoutMs),
  })
  .refine((config) => config.frameBytes < config.outboxBytes, {
    path: ['frameBytes'],
    message: 'has to be smaller than outboxBytes, or the largest message never fits',
  })
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
