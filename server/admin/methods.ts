import { z } from 'zod'
import { FanfareError } from '../../shared/errors.ts'
import type { Connections } from '../monitor/connections.ts'
import type { Monitor } from '../monitor/monitor.ts'
import { QueueConfig } from '../queue/queue-config.ts'
import type { Queues } from '../queue/queues.ts'
import { name, StreamConfig } from '../stream/stream-config.ts'
import type { Streams } from '../stream/streams.ts'

/** What operators' methods work on. */
export interface AdminParts {
  readonly streams: Streams
  readonly queues: Queues
  readonly connections: Connections
  readonly monitor: Monitor
}

interface Method {
  readonly params: z.ZodType
  run(parts: AdminParts, params: unknown): Promise<unknown>
}

function method<Params>(
  params: z.ZodType<Params>,
  run: (parts: AdminParts, params: Params) => Promise<unknown>,
): Method {
  return { params, run: (parts, checked) => run(parts, checked as Params) }
}

const named = z.object({ name })
const whole = z.number().int().nonnegative()
const limit = whole.min(1).max(1000).default(100)
const oneConnection = z.object({ connection: z.string() })
/** Which dead letters of a queue; all of them without a filter. */
const letters = named.extend({
  filter: z
    .strictObject({
      topic: z.string().optional(),
      key: z.string().optional(),
      reason: z.enum(['attempts', 'rejected', 'expired', 'overflow']).optional(),
      error: z.string().optional(),
      letters: z.array(whole).optional(),
    })
    .default({}),
})

/** Everything that an operator can ask of a hub, by name. */
const METHODS: Record<string, Method> = {
  'hub.show': method(z.object({}).optional(), async ({ monitor }) => monitor.hub()),
  'connections.list': method(
    z.object({ from: whole.default(0), limit }).default({ from: 0, limit: 100 }),
    async ({ connections }, { from, limit }) => connections.list(from, limit),
  ),
  'connections.show': method(oneConnection, async ({ connections }, { connection }) => connections.show(connection)),
  'connections.disconnect': method(oneConnection, async ({ connections }, { connection }) => {
    connections.disconnect(connection)
    return { connection }
  }),
  'topics.list': method(z.object({ limit }).default({ limit: 100 }), async ({ monitor }, { limit }) =>
    monitor.topics(limit),
  ),
  'streams.list': method(z.object({}).optional(), ({ streams }) => streams.list()),
  'streams.show': method(named, ({ streams }, { name }) => streams.show(name)),
  'streams.declare': method(StreamConfig, ({ streams }, options) => streams.declare(options, false)),
  'streams.trim': method(
    named.extend({ before: z.number().int().nonnegative().optional() }),
    ({ streams }, { name, before }) => streams.trim(name, before),
  ),
  'streams.read': method(
    named.extend({ from: whole.default(0), limit: whole.min(1).max(1000).default(100) }),
    ({ streams }, { name, from, limit }) => streams.read(name, from, limit),
  ),
  'streams.delete': method(named, async ({ streams }, { name }) => {
    await streams.delete(name)
    return { name }
  }),
  'queues.list': method(z.object({}).optional(), ({ queues }) => queues.list()),
  'queues.show': method(named, ({ queues }, { name }) => queues.show(name)),
  'queues.declare': method(QueueConfig, ({ queues }, options) => queues.declare(options, false)),
  'queues.delete': method(named, async ({ queues }, { name }) => {
    await queues.delete(name)
    return { name }
  }),
  'queues.purge': method(named, async ({ queues }, { name }) => ({ count: await queues.purge(name) })),
  'queues.unpark': method(named.extend({ key: z.string() }), async ({ queues }, { name, key }) => {
    await queues.unpark(name, key)
    return { name, key }
  }),
  'deadLetters.list': method(
    letters.extend({ from: whole.default(0), limit }),
    ({ queues }, { name, filter, from, limit }) => queues.deadLetters(name, filter, from, limit),
  ),
  'deadLetters.redrive': method(
    letters.extend({ to: z.string().optional(), perSecond: z.number().positive().optional() }),
    async ({ queues }, { name, filter, to = name, perSecond }) => ({
      count: await queues.redrive(name, filter, to, perSecond),
    }),
  ),
  'deadLetters.purge': method(letters, async ({ queues }, { name, filter }) => ({
    count: await queues.purgeDeadLetters(name, filter),
  })),
}

/** What a method takes. Throws `unknown_method`. */
export function paramsOf(name: string): z.ZodType {
  return methodOf(name).params
}

/** Runs a method. Rejects with `unknown_method`, `bad_params`, and with what the method itself refuses. */
export async function callMethod(parts: AdminParts, name: string, params: unknown): Promise<unknown> {
  const method = methodOf(name)
  return method.run(parts, checkParams(method.params, params))
}

/** Throws `bad_params`, which names everything that is wrong. */
export function checkParams<Params>(schema: z.ZodType<Params>, params: unknown): Params {
  const checked = schema.safeParse(params)
  if (checked.success) return checked.data
  const problems = checked.error.issues.map((issue) => `${issue.path.join('.') || 'params'}: ${issue.message}`)
  throw new FanfareError('bad_params', problems.join('; '))
}

function methodOf(name: string): Method {
  const method = Object.hasOwn(METHODS, name) ? METHODS[name] : undefined
  if (!method) throw new FanfareError('unknown_method', JSON.stringify(name.slice(0, 40)))
  return method
}
