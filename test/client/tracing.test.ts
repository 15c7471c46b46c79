import { context, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, trace } from '@opentelemetry/api'
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { type Client, connect } from '../../client/node.ts'
import { openTelemetry } from '../../client/opentelemetry.ts'
import { type Hub, startHub } from '../../server/index.ts'
import { lazyQuery } from '../setup/lazy-query.ts'

const spans = new InMemorySpanExporter()
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] })
let hub: Hub
let client: Client

beforeAll(async () => {
  // With the propagator of W3C and contexts that follow promises.
  provider.register()
  hub = await startHub({
    port: 0,
    streams: [{ name: 'photos', topics: ['photos.#'] }],
    queues: [{ name: 'thumbnails', bindings: [{ topic: 'photos.uploaded' }], backoff: { base: 1, cap: 1 } }],
  })
  // Made within a span, which must not become the parent of everything that its socket ever sends.
  client = trace.getTracer('test').startActiveSpan('boot', (span) => {
    span.end()
    return connect(`ws://127.0.0.1:${hub.port}`, { trace: openTelemetry() })
  })
  await client.ready()
})
afterEach(() => spans.reset())
afterAll(async () => {
  await client.close()
  await hub.close()
  await provider.shutdown()
})

/** Runs in a new trace; gives its id. */
function traced(run: () => Promise<unknown>): Promise<string> {
  return trace.getTracer('test').startActiveSpan('test', { root: true }, async (span) => {
    await run()
    span.end()
    return span.spanContext().traceId
  })
}

function traceNow(): string | undefined {
  return trace.getActiveSpan()?.spanContext().traceId
}

function named(name: string) {
  return spans.getFinishedSpans().filter((span) => span.name === name)
}

/** What becomes known later than its test asks for it. */
function later<Value>(): { value: Promise<Value>; tell: (value: Value) => void } {
  let tell: (value: Value) => void = () => {}
  const value = new Promise<Value>((resolve) => {
    tell = resolve
  })
  return { value, tell }
}

it('a trace goes through queue and stream, through a second attempt and an ack that publishes', async () => {
  const attempts: (string | undefined)[] = []
  const done = later<string | undefined>()
  const photos = client.subscribe('photos.done', () => done.tell(traceNow()), { from: 'latest' })
  const worker = client.consume('thumbnails', async (delivery) => {
    attempts.push(traceNow())
    await Promise.resolve()
    if (delivery.attempt === 1) throw new RangeError('out of memory')
    await delivery.ack({ publish: [{ topic: 'photos.done', data: 1, headers: { kind: 'jpeg' } }] })
  })
  await photos.ready
  const id = await traced(() => client.publish('photos.uploaded', 1, { id: 'p-1', headers: { kind: 'jpeg' } }))
  expect(await done.value).toBe(id)
  expect(attempts).toEqual([id, id])
  await worker.close()
  await photos.unsubscribe()

  const [published] = named('publish photos.uploaded')
  const [failed, succeeded] = named('process photos.uploaded')
  const [received] = named('process photos.done')
  expect(published).toMatchObject({ kind: SpanKind.PRODUCER })
  expect(published?.attributes).toEqual({
    'messaging.system': 'fanfare',
    'messaging.operation.name': 'publish',
    'messaging.operation.type': 'send',
    'messaging.destination.name': 'photos.uploaded',
    'messaging.message.id': 'p-1',
  })
  expect(succeeded).toMatchObject({ kind: SpanKind.CONSUMER, status: { code: SpanStatusCode.UNSET } })
  expect(succeeded?.attributes).toEqual({
    'messaging.system': 'fanfare',
    'messaging.operation.name': 'process',
    'messaging.operation.type': 'process',
    'messaging.destination.name': 'photos.uploaded',
    'messaging.destination.subscription.name': 'thumbnails',
    'messaging.message.id': 'p-1',
  })
  expect(failed).toMatchObject({ status: { code: SpanStatusCode.ERROR, message: 'out of memory' } })
  expect(failed?.attributes['error.type']).toBe('RangeError')
  for (const span of [failed, succeeded]) expect(span?.parentSpanContext?.spanId).toBe(published?.spanContext().spanId)
  expect(received?.parentSpanContext?.spanId).toBe(succeeded?.spanContext().spanId)
})

it('a trace reaches a responder and its publishes, and records what failed', async () => {
  const heard = later<string | undefined>()
  const live = client.subscribe('live.#', () => heard.tell(traceNow()))
  const responder = client.respond<number>('sums', async ({ data }) => {
    if (data < 0) throw new Error('negative')
    await client.publish('live.summed', data)
    return data + 1
  })
  await Promise.all([live.ready, responder.ready])
  const id = await traced(async () => expect(await client.request('sums', 1)).toBe(2))
  expect(await heard.value).toBe(id)
  expect(named('request sums')).toMatchObject([{ kind: SpanKind.PRODUCER }])
  expect(named('process sums')).toMatchObject([{ kind: SpanKind.CONSUMER }])
  await traced(() => expect(client.request('sums', -1)).rejects.toMatchObject({ code: 'responder_failed' }))
  expect(named('request sums')[1]?.attributes['error.type']).toBe('responder_failed')
  await responder.close()
  await live.unsubscribe()
})

it('a lazy query runs once, and an error without a message is recorded as it was thrown', async () => {
  const told: unknown[] = []
  let runs = 0
  const query = client.respond('query', () => lazyQuery(() => ++runs))
  const wordless = client.respond('wordless', () => Promise.reject(Object.create(null)), {
    onError: (error) => told.push(error),
  })
  const live = client.subscribe(
    'live.*',
    () => {
      throw Object.create(null)
    },
    { onError: (error, message) => void told.push([error, message?.data]) },
  )
  await Promise.all([query, wordless, live].map(({ ready }) => ready))
  expect(await client.request('query')).toBe(1)
  await expect(client.request('wordless')).rejects.toMatchObject({ code: 'responder_failed' })
  await client.publish('live.a', 1)
  await expect.poll(() => told).toEqual([Object.create(null), [Object.create(null), 1]])
  expect(named('process wordless')[0]?.status).toMatchObject({ code: SpanStatusCode.ERROR })
  expect(named('process live.a')[0]?.status).toMatchObject({ code: SpanStatusCode.ERROR })
  await Promise.all([query.close(), wordless.close(), live.unsubscribe()])
})

it('a message without a trace begins one, and a message without room for one goes without', async () => {
  const plain = connect(`ws://127.0.0.1:${hub.port}`)
  const traces: (string | undefined)[] = []
  const headers: unknown[] = []
  const both = later<void>()
  const subscription = client.subscribe('live.#', (message) => {
    traces.push(traceNow())
    headers.push(message.headers)
    if (traces.length === 3) both.tell()
  })
  await subscription.ready
  await plain.publish('live.a', 1)
  await plain.publish('live.a', 2, { headers: { mine: '1' } })
  const full = Object.fromEntries(Array.from({ length: 32 }, (_, n) => [`h${n}`, 'x']))
  const id = await traced(() => client.publish('live.a', 3, { headers: full }))
  await both.value
  expect(headers).toEqual([undefined, { mine: '1' }, full])
  expect(new Set([...traces, id]).size).toBe(4)
  await subscription.unsubscribe()
  await plain.close()
})

it('with a propagator but no recorder, a context is passed on', async () => {
  trace.disable()
  const handed = {
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: 'b7ad6b7169203331',
    traceFlags: TraceFlags.SAMPLED,
  }
  const heard = later<unknown>()
  const bare = connect(`ws://127.0.0.1:${hub.port}`, { trace: openTelemetry() })
  const subscription = bare.subscribe('live.b', ({ headers }) =>
    heard.tell([headers, trace.getActiveSpan()?.spanContext()]),
  )
  await subscription.ready
  const sender = propagation.extract(ROOT_CONTEXT, {
    traceparent: `00-${handed.traceId}-${handed.spanId}-01`,
    tracestate: 'vendor=1',
  })
  await context.with(sender, () => bare.publish('live.b', 1))
  expect(await heard.value).toMatchObject([
    { traceparent: `00-${handed.traceId}-${handed.spanId}-01`, tracestate: 'vendor=1' },
    handed,
  ])
  await bare.close()
})
