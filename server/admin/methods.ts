import { z } from 'zod'
import { FanfareError } from '../../shared/errors.ts'
import { StreamConfig, streamName } from '../stream/stream-config.ts'
import type { Streams } from '../stream/streams.ts'

/** What operators' methods work on. */
export interface AdminParts {
  readonly streams: Streams
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

const named = z.object({ name: streamName })

/** Everything that an operator can ask of a hub, by name. */
const METHODS: Record<string, Method> = {
  'streams.list': method(z.object({}).optional(), ({ streams }) => streams.list()),
  'streams.show': method(named, ({ streams }, { name }) => streams.show(name)),
  'streams.declare': method(StreamConfig, ({ streams }, options) => streams.declare(options, false)),
  'streams.trim': method(
    named.extend({ before: z.number().int().nonnegative().optional() }),
    ({ streams }, { name, before }) => streams.trim(name, before),
  ),
  'streams.delete': method(named, async ({ streams }, { name }) => {
    await streams.delete(name)
    return { name }
  }),
}

/** Runs a method. Rejects with `unknown_method`, `bad_params`, and with what the method itself refuses. */
export async function callMethod(parts: AdminParts, name: string, params: unknown): Promise<unknown> {
  const method = Object.hasOwn(METHODS, name) ? METHODS[name] : undefined
  if (!method) throw new FanfareError('unknown_method', JSON.stringify(name.slice(0, 40)))
  const checked = method.params.safeParse(params)
  if (!checked.success) {
    const problems = checked.error.issues.map((issue) => `${issue.path.join('.') || 'params'}: ${issue.message}`)
    throw new FanfareError('bad_params', problems.join('; '))
  }
  return method.run(parts, checked.data)
}
