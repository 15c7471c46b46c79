import { type Context, Hono } from 'hono'
import { FanfareError } from '../../shared/errors.ts'
import type { QueueInfo } from '../../shared/queues.ts'
import type { Access } from '../auth/access.ts'
import type { HttpEnv } from './authentication.ts'

type Call = (method: string, params: unknown, access: Access) => Promise<unknown>

/** Queues and their dead letters over HTTP: the same methods as over the WebSocket. */
export function queueRoutes(hubCall: Call): Hono<HttpEnv> {
  const app = new Hono<HttpEnv>()
  const call = (c: Context<HttpEnv>, method: string, params: unknown) => hubCall(method, params, c.get('access'))
  const name = (c: Context) => ({ name: c.req.param('name') })
  app.get('/', async (c) => c.json(await call(c, 'queues.list', {})))
  app.post('/', async (c) => c.json(await call(c, 'queues.declare', await body(c)), 201))
  app.get('/:name', async (c) => c.json(await call(c, 'queues.show', name(c))))
  app.delete('/:name', async (c) => c.json(await call(c, 'queues.delete', name(c))))
  app.post('/:name/purge', async (c) => c.json(await call(c, 'queues.purge', name(c))))
  app.post('/:name/unpark', async (c) => c.json(await call(c, 'queues.unpark', { ...(await body(c)), ...name(c) })))
  app.get('/:name/wanted-consumers', async (c) => {
    const { wantedConsumers } = (await call(c, 'queues.show', name(c))) as QueueInfo
    return c.json({ queue: c.req.param('name'), wantedConsumers })
  })
  app.get('/:name/dead-letters', async (c) => {
    const { from, limit, ...filter } = c.req.query()
    const page = {
      ...(from !== undefined && { from: Number(from) }),
      ...(limit !== undefined && { limit: Number(limit) }),
    }
    return c.json(await call(c, 'deadLetters.list', { ...name(c), filter, ...page }))
  })
  for (const verb of ['redrive', 'purge']) {
    app.post(`/:name/dead-letters/${verb}`, async (c) =>
      c.json(await call(c, `deadLetters.${verb}`, { ...(await body(c)), ...name(c) })),
    )
  }
  return app
}

/** The body, which says that it is JSON: a form of another site cannot. */
async function body(c: Context): Promise<object> {
  const text = await c.req.text()
  if (text === '') return {}
  if (!c.req.header('content-type')?.startsWith('application/json')) {
    throw new FanfareError('not_json', 'The content-type is not application/json')
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new FanfareError('not_json', 'The body is not JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new FanfareError('bad_params', 'The body is not a JSON object')
  }
  return value
}
