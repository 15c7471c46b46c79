import { z } from 'zod'
import type { ErrorCode } from '../../shared/errors.ts'
import type { Answer, Operation } from './operation.ts'
import { type OperationParams, type ParamSchema, paramsSchema } from './params.ts'
import { statusOf } from './problem.ts'
import { Problem } from './schemas.ts'

type Json = Record<string, unknown>

/** Errors that any request can get. */
const ALWAYS: readonly ErrorCode[] = [
  ...(['bad_params', 'token_in_url', 'unauthenticated', 'token_expired'] as const),
  ...(['forbidden', 'auth_unavailable', 'internal'] as const),
]
/** Errors that any request with a body can get. */
const OF_BODIES: readonly ErrorCode[] = ['bad_content_type', 'not_json', 'bad_utf8', 'forbidden_key', 'frame_too_large']

/** Describes the operations, as an OpenAPI document. */
export function openApi(operations: readonly Operation[], version: string): Json {
  const schemas: Json = {}
  const paths: Record<string, Json> = {}
  for (const operation of operations) {
    const path = `/v1${operation.path}`
    paths[path] = { ...paths[path], [operation.method]: describe(operation, schemas) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Fanfare over HTTP',
      version,
      description: 'Publishing, server-sent events and administration for clients without a WebSocket.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    // Relative to the document, which a proxy may serve under a path prefix.
    servers: [{ url: '..' }],
    paths,
    // With a token, or without one if the hub admits anonymous clients.
    security: [{ token: [] }, {}],
    components: { schemas, securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
  }
}

function describe(operation: Operation, schemas: Json): Json {
  const { id, summary, content, answers, refusals, rest } = operation
  const params = paramsSchema(operation)
  const own = content
    ? mapValues(content, (schema) => ({ schema: schemaOf(schema, schemas) }))
    : rest === 'body' && { 'application/json': { schema: restSchema(params.rest, params.required) } }
  const codes = [...ALWAYS, ...(own ? OF_BODIES : []), ...refusals]
  return {
    operationId: id,
    summary,
    parameters: [
      ...Object.entries(params.path).map(([name, schema]) => parameter('path', name, true, schema)),
      ...(rest === 'query'
        ? Object.entries(params.rest).map(([name, schema]) =>
            parameter('query', name, params.required.includes(name), schema),
          )
        : []),
      ...Object.entries(operation.headers ?? {}).map(([name, description]) =>
        parameter('header', name, false, { type: 'string', description }),
      ),
    ],
    ...(own && { requestBody: { required: isRequired(operation, params), content: own } }),
    responses: {
      ...Object.fromEntries(answers.map((answer) => [answer.status, answerOf(answer, schemas)])),
      ...problems(codes, schemas),
    },
  }
}

function answerOf({ description, type, schema }: Answer, schemas: Json): Json {
  return { description, content: { [type]: { schema: schemaOf(schema, schemas) } } }
}

/** An object in a query consists of its properties, each under its own name. */
function parameter(where: string, name: string, required: boolean, { description, ...schema }: ParamSchema): Json {
  return {
    name,
    in: where,
    required,
    ...(description !== undefined && { description }),
    ...(where === 'query' && { style: 'form', explode: true }),
    schema,
  }
}

function restSchema(properties: Json, required: readonly string[]): Json {
  return { type: 'object', properties, required: required.filter((name) => name in properties) }
}

function isRequired({ content }: Operation, { rest, required }: OperationParams): boolean {
  return content ? !('*/*' in content) : required.some((name) => name in rest)
}

/** Refusals by status, each with its codes. */
function problems(codes: readonly ErrorCode[], schemas: Json): Json {
  const byStatus = new Map<number, ErrorCode[]>()
  for (const code of codes) byStatus.set(statusOf(code), [...(byStatus.get(statusOf(code)) ?? []), code])
  const content = { 'application/problem+json': { schema: schemaOf(Problem, schemas) } }
  const known = [...byStatus].map(([status, its]) => [status, { description: its.join(', '), content }])
  return { ...Object.fromEntries(known), default: { description: 'Any other refusal', content } }
}

/** A schema for the document: named schemas are put into `schemas` and referenced. */
function schemaOf(schema: z.ZodType, schemas: Json): Json {
  const { properties, $defs = {} } = z.toJSONSchema(z.object({ schema }), { io: 'input' })
  Object.assign(schemas, toComponents($defs))
  return toComponents(properties?.['schema'] as Json)
}

function toComponents(value: Json): Json {
  return JSON.parse(JSON.stringify(value).replaceAll('"#/$defs/', '"#/components/schemas/')) as Json
}

function mapValues<Value, Result>(values: Readonly<Record<string, Value>>, map: (value: Value) => Result) {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, map(value)]))
}
