import { z } from 'zod'
import { type ErrorCode, FanfareError } from '../../shared/errors.ts'
import { QUEUE_TOPIC } from '../../shared/queues.ts'
import { isJson, publishesOf, rawJsonOf, readBody, requireJson } from './body.ts'
import { headersOf } from './header-params.ts'
import { type Answer, type HttpExchange, jsonText, OPENING, type Operation, STORING } from './operation.ts'
import { problemOf, problemResponse } from './problem.ts'
import { EXPLAINED, type Result } from './publisher.ts'
import { Duration, Instant, Problem, Publish, Receipt } from './schemas.ts'

const REFUSALS: readonly ErrorCode[] = [
  ...OPENING,
  ...([
    'bad_frame',
    'nested_too_deeply',
    'bad_topic',
    'reserved_topic',
    'no_queue',
    'queue_limit',
    'waiting_limit',
    'too_many_places',
    'data_damaged',
  ] as const),
  ...STORING,
  ...(['connection_lost', 'bad_data', 'flooding'] as const),
]

const JSON_TYPE = 'application/json'
/** Maximum publishes per request. */
const MAX_BATCH = 10_000
const KEY = { 'Idempotency-Key': 'The id of the message, where the publish has none; in a batch, followed by .0, .1 …' }

const receipt: Answer = {
  status: 200,
  description: 'The message was published, and stored if any stream or queue captures it',
  type: JSON_TYPE,
  schema: Receipt,
}

/** Options of a publish whose data is the body. Checked as part of the resulting frame. */
const options = z.looseObject({
  id: z.string().optional(),
  key: z.string().optional(),
  header: z.array(z.string()).optional().describe('name=value, may be repeated'),
  expiresAt: Instant.optional(),
  priority: z.int().optional().describe('Priority in queues: 0 to 9, higher first'),
  delay: Duration.optional().describe('Delay in queues, such as 30s, or milliseconds'),
  deliverAt: Instant.optional(),
})

const content = {
  [JSON_TYPE]: z.unknown().describe('The data'),
  '*/*': z.unknown().describe('The data as bytes; without a body the message has no data'),
}

export const publishOperations: readonly Operation[] = [
  {
    id: 'publish',
    summary: 'Publish one message, or several with individual results',
    method: 'post',
    path: '/publish',
    params: z.object({}),
    rest: 'query',
    headers: KEY,
    content: { [JSON_TYPE]: z.union([Publish, z.array(Publish).min(1).max(MAX_BATCH)]) },
    answers: [
      { ...receipt, description: 'All messages were published', schema: z.union([Receipt, z.array(Receipt)]) },
      {
        status: 207,
        description: 'Some of the messages were refused: one receipt or problem per message, in order',
        type: JSON_TYPE,
        schema: z.array(z.union([Receipt, Problem])),
      },
    ],
    refusals: REFUSALS,
    run: publishJson,
  },
  {
    id: 'publishTo',
    summary: 'Publish the body to a topic',
    method: 'post',
    path: '/topics/{topic}',
    params: options.extend({ topic: z.string() }),
    rest: 'query',
    headers: KEY,
    content,
    answers: [receipt],
    refusals: REFUSALS,
    run: (exchange) => publishBody(exchange, exchange.params),
  },
  {
    id: 'enqueue',
    summary: 'Publish the body directly to a queue, bypassing bindings',
    method: 'post',
    path: '/queues/{name}/messages',
    params: options.extend({ name: z.string() }),
    rest: 'query',
    headers: KEY,
    content,
    answers: [receipt],
    refusals: REFUSALS,
    run(exchange) {
      const { name, ...rest } = exchange.params
      return publishBody(exchange, { ...rest, topic: `${QUEUE_TOPIC}${name}` })
    },
  },
]

async function publishJson(exchange: HttpExchange): Promise<Response> {
  const { hub, request } = exchange
  const bytes = await readBody(request, hub.frameBytes)
  requireJson(request)
  const value = publishesOf(bytes)
  const key = idempotencyKey(request)
  if (!Array.isArray(value)) {
    return single(await publish(exchange, [key === undefined ? value : identified(value, key)], bytes))
  }
  if (value.length === 0) throw new FanfareError('bad_frame', 'A batch must have at least one publish.')
  if (value.length > MAX_BATCH)
    throw new FanfareError('bad_frame', `A batch may have at most ${MAX_BATCH} publishes (got ${value.length}).`)
  const items = key === undefined ? value : value.map((item, n) => identified(item, `${key}.${n}`))
  const results = await publish(exchange, items, bytes)
  let refused = 0
  const answers = results.map((result) => {
    if ('receipt' in result) return result.receipt
    const problem = problemOf(result.refusal)
    return JSON.stringify(++refused > EXPLAINED ? { ...problem, detail: '' } : problem)
  })
  return jsonText(refused > 0 ? 207 : 200, `[${answers.join(',')}]`)
}

async function publishBody(exchange: HttpExchange, params: Record<string, unknown>): Promise<Response> {
  const { hub, request } = exchange
  const { header, ...rest } = params
  const bytes = await readBody(request, hub.frameBytes)
  const id = idempotencyKey(request)
  const item = {
    ...(id !== undefined && { id }),
    ...rest,
    ...(header !== undefined && { headers: headersOf('header', header as string[]) }),
    ...(isJson(request) ? { data: rawJsonOf(bytes) } : bytes.length > 0 && { data: bytes }),
  }
  return single(await publish(exchange, [item], bytes))
}

function publish({ hub, request, peer, access }: HttpExchange, items: readonly unknown[], body: Uint8Array) {
  const bytes = request.url.length + body.length
  return hub.publisher.publish(items, { address: peer?.remoteAddress ?? '', access, bytes, signal: request.signal })
}

function single([result]: readonly Result[]): Response {
  if (result && 'receipt' in result) return jsonText(200, result.receipt)
  return problemResponse(result?.refusal ?? new FanfareError('internal'))
}

/** The item, with this id if it has none. */
function identified(item: unknown, id: string): unknown {
  const publish: object = Object(item)
  return Object.hasOwn(publish, 'id') ? publish : Object.assign(publish, { id })
}

/** As it is, or as the string of a structured header (RFC 8941). */
function idempotencyKey(request: Request): string | undefined {
  return request.headers.get('idempotency-key')?.replace(/^"(.*)"$/, '$1')
}
