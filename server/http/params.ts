import { z } from 'zod'
import { shown } from '../../shared/error-text.ts'
import { FanfareError } from '../../shared/errors.ts'
import { jsonOf, readBody, requireJson } from './body.ts'
import type { Operation } from './operation.ts'

/** The part of JSON Schema that is needed to read a query. */
export interface ParamSchema {
  readonly type?: string | readonly string[]
  readonly anyOf?: readonly ParamSchema[]
  readonly description?: string
  readonly properties?: Readonly<Record<string, ParamSchema>>
  readonly required?: readonly string[]
}

/** The parameters of an operation as JSON Schema: path parameters, and the rest. */
export interface OperationParams {
  readonly path: Readonly<Record<string, ParamSchema>>
  readonly rest: Readonly<Record<string, ParamSchema>>
  readonly required: readonly string[]
}

/** What `paramsSchema` has computed. */
const schemas = new WeakMap<Operation, OperationParams>()

/** Computed when an operation is first used, once per process: for all operations it takes half of a hub's start. */
export function paramsSchema(operation: Operation): OperationParams {
  const known = schemas.get(operation)
  if (known) return known
  const schema = computed(operation)
  schemas.set(operation, schema)
  return schema
}

function computed({ path, params }: Operation): OperationParams {
  const { properties = {}, required = [] } = z.toJSONSchema(params, { io: 'input' }) as ParamSchema
  const inPath = (name: string) => path.includes(`{${name}}`)
  const part = (wanted: boolean) =>
    Object.fromEntries(Object.entries(properties).filter(([name]) => inPath(name) === wanted))
  return { path: part(true), rest: part(false), required }
}

/**
 * Reads a query by its schema: integers and repeated parameters as such, and the properties of an object each under its own name.
 * Values that cannot be read stay text, and the check reports them. Unknown parameters are ignored, because caches, trackers and
 * polyfills add their own to any URL. Throws `bad_params`.
 */
export function readQuery(rest: OperationParams['rest'], query: URLSearchParams): Record<string, unknown> {
  const params: Record<string, unknown> = {}
  const read = (target: Record<string, unknown>, properties: OperationParams['rest']) => {
    for (const [name, schema] of Object.entries(properties)) {
      if (schema.properties) {
        const inner: Record<string, unknown> = {}
        read(inner, schema.properties)
        if (Object.keys(inner).length > 0) target[name] = inner
        continue
      }
      const texts = query.getAll(name)
      if (texts.length === 0) continue
      const { type } = schema
      if (type === 'array') target[name] = texts.map((text) => scalar(text, schema))
      else if (texts.length > 1) throw new FanfareError('bad_params', `${name} is given more than once.`)
      else target[name] = scalar(texts[0] as string, schema)
    }
  }
  read(params, rest)
  return params
}

function scalar(text: string, schema: ParamSchema & { readonly items?: ParamSchema }): unknown {
  const { type, anyOf } = schema.items ?? schema
  const types = anyOf ? anyOf.map((each) => each.type) : [type].flat()
  const takesNumber = types.includes('integer') || types.includes('number')
  return takesNumber && text.trim() !== '' && !Number.isNaN(Number(text)) ? Number(text) : text
}

/** The body as a JSON object, or nothing. */
export async function readJsonBody(request: Request, limit: number): Promise<Record<string, unknown>> {
  const bytes = await readBody(request, limit)
  if (bytes.length === 0) return {}
  requireJson(request)
  const value = jsonOf(bytes)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new FanfareError('bad_params', `The body must be a JSON object (got ${shown(value)}).`)
  }
  return value as Record<string, unknown>
}
