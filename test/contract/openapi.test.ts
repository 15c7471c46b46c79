import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { beforeAll, expect, it } from 'vitest'
import { connect } from '../../client/node.ts'
import { httpApp } from '../../server/http/handler.ts'
import type { HttpContext } from '../../server/http/operation.ts'
import { onEveryEngine } from '../setup/hubs.ts'

type Json = Record<string, unknown>
interface Document {
  readonly paths: Record<string, Record<string, DocumentedOperation>>
  readonly components: { readonly schemas: Json }
}
interface DocumentedOperation {
  readonly operationId: string
  readonly responses: Record<string, { content: Record<string, { schema: Json }> }>
}

/** A request that succeeds, one that is refused, and with which status and code. */
type Sample = readonly [Call, Call, number, string]
type Call = readonly [path: string, body?: unknown, headers?: Record<string, string>]

const NONE: Call = ['/queues/none']
/** In this order: later ones need what earlier ones have made. `{id}` is a connection. */
const SAMPLES: Record<string, Sample> = {
  document: [['/openapi.json'], ['/openapi.json?access_token=t'], 400, 'token_in_url'],
  declareStream: [['/streams', { name: 's', topics: ['s.#'] }], ['/streams', { name: 's' }], 400, 'bad_params'],
  declareQueue: [['/queues', { name: 'q' }], ['/queues', { name: 'q', maxAttempts: 1 }], 409, 'queue_exists'],
  updateStream: [['/streams/s/update', { maxAge: '1d' }], ['/streams/none/update', { maxAge: '1d' }], 404, 'no_stream'],
  updateQueue: [['/queues/q/update', { maxAttempts: 9 }], ['/queues/q/update', { maxAttempt: 9 }], 400, 'bad_params'],
  publish: [['/publish', { topic: 's.a', data: { n: 1 } }], ['/publish', { topic: 's..a' }], 400, 'bad_topic'],
  publishTo: [['/topics/s.a?key=k&header=a=b', [1, 2]], ['/topics/$sys.hub', 1], 403, 'reserved_topic'],
  enqueue: [['/queues/q/messages?priority=9', 1], ['/queues/none/messages', 1], 404, 'no_queue'],
  events: [['/events?pattern=s.%23&from=earliest'], ['/events?pattern=t&from=earliest'], 404, 'no_stream'],
  listStreams: [['/streams'], ['/streams?access_token=t'], 400, 'token_in_url'],
  showStream: [['/streams/s'], ['/streams/none'], 404, 'no_stream'],
  readStream: [['/streams/s/messages?from=1&limit=1'], ['/streams/s/messages?limit=0'], 400, 'bad_params'],
  listCursors: [['/streams/s/cursors?after=a'], ['/streams/s/cursors?limit=0'], 400, 'bad_params'],
  deleteCursor: [['/streams/s/cursors/sample'], ['/streams/s/cursors/none'], 404, 'no_cursor'],
  trimStream: [['/streams/s/trim', { before: 1 }], ['/streams/s/trim', { before: -1 }], 400, 'bad_params'],
  listQueues: [['/queues'], ['/queues?access_token=t'], 400, 'token_in_url'],
  showQueue: [['/queues/q'], NONE, 404, 'no_queue'],
  wantedConsumers: [['/queues/q/wanted-consumers'], ['/queues/none/wanted-consumers'], 404, 'no_queue'],
  listDeadLetters: [
    ['/queues/dead/dead-letters?reason=rejected&topic=%23&limit=5&letters=0&letters=1'],
    ['/queues/dead/dead-letters?reason=boredom'],
    ...[400, 'bad_params'],
  ] as never,
  countDeadLetters: [
    ['/queues/dead/dead-letters/count?reason=rejected'],
    ['/queues/dead/dead-letters/count?reason=boredom'],
    ...[400, 'bad_params'],
  ] as never,
  unparkGroup: [
    ['/queues/dead/unpark', { key: 'k' }],
    ['/queues/dead/unpark', { key: 'other' }],
    404,
    'no_parked_group',
  ],
  redriveDeadLetters: [
    ['/queues/dead/dead-letters/redrive', { filter: { key: 'k' }, to: 'q' }],
    ['/queues/dead/dead-letters/redrive', { perSecond: 0 }],
    ...[400, 'bad_params'],
  ] as never,
  purgeDeadLetters: [
    ['/queues/dead/dead-letters/purge', {}],
    ['/queues/dead/dead-letters/purge', { filter: { reason: 'boredom' } }],
    ...[400, 'bad_params'],
  ] as never,
  purgeQueue: [['/queues/q/purge', {}], ['/queues/none/purge', {}], 404, 'no_queue'],
  deleteQueue: [['/queues/q'], NONE, 404, 'no_queue'],
  deleteStream: [['/streams/s'], ['/streams/none'], 404, 'no_stream'],
  whoAmI: [['/whoami'], ['/whoami?access_token=t'], 400, 'token_in_url'],
  findQueues: [
    ['/find/queues?filter=a&sort=ready&reverse=true&history=true'],
    ['/find/queues?sort=age'],
    400,
    'bad_params',
  ],
  findStreams: [['/find/streams?sort=messages&history=true'], ['/find/streams?reverse=1'], 400, 'bad_params'],
  findTopics: [['/find/topics?from=1&limit=5'], ['/find/topics?limit=0'], 400, 'bad_params'],
  findConnections: [['/find/connections?filter=sample'], ['/find/connections?sort=x'], 400, 'bad_params'],
  listEndedConnections: [['/ended-connections'], ['/ended-connections?access_token=t'], 400, 'token_in_url'],
  showAttention: [['/hub/attention?limit=5'], ['/hub/attention?limit=x'], 400, 'bad_params'],
  showHistory: [['/hub/history?of=queue&name=dead'], ['/hub/history?of=stream&name=none'], 404, 'no_stream'],
  showHub: [['/hub'], ['/hub?access_token=t'], 400, 'token_in_url'],
  listNodes: [['/nodes'], ['/nodes?access_token=t'], 400, 'token_in_url'],
  listTopics: [['/topics?limit=5'], ['/topics?limit=x'], 400, 'bad_params'],
  listConnections: [['/connections?from=0&limit=10'], ['/connections?from=-1'], 400, 'bad_params'],
  showConnection: [['/connections/{id}'], ['/connections/none'], 404, 'no_connection'],
  disconnect: [['/connections/{id}'], ['/connections/none'], 404, 'no_connection'],
}

const METHODS = ['get', 'post', 'delete'] as const
const JSON_TYPE = { 'content-type': 'application/json' }

onEveryEngine('the OpenAPI document', (hubs) => {
  let http: string
  let url: string
  let document: Document
  let operations: Map<string, { path: string; method: string; operation: DocumentedOperation }>
  const ajv = new Ajv2020({ strict: false, validateFormats: false })

  beforeAll(async () => {
    const started = await hubs.start()
    url = started.url
    http = `${started.http}/v1`
    document = (await (await fetch(`${http}/openapi.json`)).json()) as Document
    operations = new Map()
    for (const [path, item] of Object.entries(document.paths)) {
      for (const method of METHODS) {
        const operation = item[method]
        if (operation) operations.set(operation.operationId, { path, method: method.toUpperCase(), operation })
      }
    }
  })

  function ask(path: string, method: string, body?: unknown, headers: Record<string, string> = JSON_TYPE) {
    return fetch(http + path, { method, ...(body !== undefined && { body: JSON.stringify(body), headers }) })
  }

  /** Checks a response against the document; it must not contain anything that the document does not name. */
  async function matches(answer: Response, operation: DocumentedOperation): Promise<unknown> {
    const described = operation.responses[answer.status]
    expect(described, `${operation.operationId} answers with ${answer.status}`).toBeDefined()
    const type = answer.headers.get('content-type')?.split(';')[0] as string
    const schema = described?.content[type]?.schema
    expect(schema, `${operation.operationId} answers with ${type}`).toBeDefined()
    if (type === 'text/event-stream') return void (await answer.body?.cancel())
    const value: unknown = await answer.json()
    const check = ajv.compile(closed({ ...schema, components: document.components }) as object)
    expect(check(value), `${operation.operationId}: ${ajv.errorsText(check.errors)} in ${JSON.stringify(value)}`).toBe(
      true,
    )
    return value
  }

  it('is valid, and contains all routes of the hub', async () => {
    const { valid, errors } = await new Validator().validate(document as never)
    expect(errors).toBeUndefined()
    expect(valid).toBe(true)
    const served = httpApp({} as HttpContext)
      .routes.filter(({ path, method }) => path.startsWith('/v1') && method !== 'ALL')
      .map(({ path, method }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`)
    const described = [...operations.values()].map(({ path, method }) => `${method} ${path}`)
    expect(served.toSorted()).toEqual(described.toSorted())
  })

  it('describes what each operation returns, for good and bad requests', async () => {
    expect(Object.keys(SAMPLES).toSorted()).toEqual([...operations.keys()].toSorted())
    const client = connect(url, { name: 'sample' })
    await client.admin.streams.declare({ name: 's', topics: ['s.#'] })
    const stored = client.subscribe('s.#', { cursor: 'sample' })
    await stored.ready
    await client.publish('s.a', 0)
    await client.publish('s.a', 1)
    let count = 0
    // Asking for the second one marks the first as handled.
    for await (const _ of stored) if (++count === 2) break
    await client.admin.queues.declare({ name: 'dead', onDeadLetter: 'park' })
    for (const n of [1, 2]) await client.enqueue('dead', new Uint8Array([n]), { key: 'k' })
    for await (const delivery of client.consume('dead')) {
      await delivery.reject('bad')
      break
    }
    const { connections } = await (await fetch(`${http}/connections`)).json()
    for (const [id, [[path, ...good], bad, status, code]] of Object.entries(SAMPLES)) {
      const { method, operation } = operations.get(id) as NonNullable<ReturnType<typeof operations.get>>
      const answer = await ask(path.replace('{id}', connections[0].connection), method, ...good)
      expect(answer.ok, `${id} ${answer.status}`).toBe(true)
      await matches(answer, operation)
      const [badPath, ...rest] = bad
      const refusal = await ask(badPath, method, ...rest)
      expect(await matches(refusal, operation)).toMatchObject({ status, code, type: 'about:blank' })
      expect(refusal.status).toBe(status)
      expect(refusal.headers.get('content-type')).toBe('application/problem+json')
    }
    await client.close()
  })
})

/** The schema, with no properties allowed but those that it names. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed)
  if (typeof schema !== 'object' || schema === null) return schema
  const inner = Object.fromEntries(Object.entries(schema).map(([name, value]) => [name, closed(value)]))
  return 'properties' in inner && inner['type'] === 'object' && !('additionalProperties' in inner)
    ? { ...inner, additionalProperties: false }
    : inner
}
