import { type Context, Hono } from 'hono'
import { FanfareError } from '../../shared/errors.ts'
import type { HttpEnv } from './http-env.ts'
import type { HttpContext, Operation } from './operation.ts'
import { paramsSchema, readJsonBody, readQuery } from './params.ts'
import { problemResponse } from './problem.ts'

/** Serves the operations of the table; other methods on their paths are refused with a list of the allowed ones. */
export function routes(operations: readonly Operation[], hub: HttpContext): Hono<HttpEnv> {
  const app = new Hono<HttpEnv>()
  const methods = new Map<string, string[]>()
  for (const operation of operations) {
    const path = operation.path.replace(/\{(\w+)\}/g, ':$1')
    app.on(operation.method, path, (c) => serve(operation, hub, c))
    methods.set(path, [...(methods.get(path) ?? []), operation.method.toUpperCase()])
  }
  for (const [path, allowed] of methods) {
    // HEAD is GET without the body.
    const allow = allowed.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])).join(', ')
    app.all(path, () => problemResponse(new FanfareError('method_not_allowed'), { allow }))
  }
  return app
}

async function serve(operation: Operation, hub: HttpContext, c: Context<HttpEnv>): Promise<Response> {
  const { req } = c
  const schema = paramsSchema(operation)
  const path = Object.fromEntries(Object.keys(schema.path).map((name) => [name, req.param(name)]))
  const query = readQuery(operation.rest === 'query' ? schema.rest : {}, new URL(req.url).searchParams)
  const body = operation.rest === 'body' ? await readJsonBody(req.raw, hub.frameBytes) : {}
  const params = { ...query, ...body, ...path }
  return operation.run({ hub, request: req.raw, peer: c.env.peer, access: c.get('access'), params })
}
