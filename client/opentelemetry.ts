/** `fanfare/opentelemetry`: traces that go from publish to handler. Needs the package `@opentelemetry/api`. */
import { context, propagation, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { MAX_HEADERS } from '../shared/field-rules.ts'
import type { MessageHeaders } from '../shared/frames.ts'
import { isThenable } from '../shared/thenable.ts'
import { textOf } from '../shared/thrown.ts'
import type { Delivery } from './delivery.ts'
import type { Message } from './message.ts'
import type { Receipt } from './publisher.ts'
import type { IncomingRequest } from './responders.ts'
import type { Tracing } from './tracing.ts'

export type { Tracing } from './tracing.ts'

/**
 * For `connect(url, { trace: openTelemetry() })`. Publishes, enqueues and requests carry the active context
 * along in its headers, as the propagator that was set up writes it (`traceparent` and `tracestate` where it is that of
 * W3C); handlers of subscriptions, queues and requests run in the context that their message came with, and so does what
 * they publish, with an ack too. A message that is delivered again has the context of its publish again.
 *
 * Each of these is a span, named and attributed by the semantic conventions of OpenTelemetry for messaging. A `for await`
 * loop has no span: only the loop knows where the handling of a message ends.
 */
export function openTelemetry(): Tracing {
  const tracer = trace.getTracer('fanfare')
  return {
    send(operation, topic, options, send) {
      const attributes = attributesOf(operation, 'send', topic)
      return tracer.startActiveSpan(`${operation} ${topic}`, { kind: SpanKind.PRODUCER, attributes }, (span) =>
        watched(span, async () => {
          const answer = await send({ ...options, ...withContext(options.headers) })
          if (operation === 'publish') span.setAttribute('messaging.message.id', (answer as Receipt).id)
          return answer
        }),
      )
    },
    headers: withContext,
    handler(handler, queue) {
      return (received) => {
        const { topic, headers = {}, id } = messageIn(received)
        const attributes = {
          ...attributesOf('process', 'process', topic),
          ...(id !== undefined && { 'messaging.message.id': id }),
          ...(queue !== undefined && { 'messaging.destination.subscription.name': queue }),
        }
        // From the root: the socket's own context is that in which the client was made.
        const sender = propagation.extract(ROOT_CONTEXT, headers)
        return tracer.startActiveSpan(`process ${topic}`, { kind: SpanKind.CONSUMER, attributes }, sender, (span) =>
          watched(span, () => handler(received)),
        )
      }
    },
  }
}

function attributesOf(name: string, type: 'send' | 'process', topic: string): Record<string, string> {
  return {
    'messaging.system': 'fanfare',
    'messaging.operation.name': name,
    'messaging.operation.type': type,
    'messaging.destination.name': topic,
  }
}

/** Empty if there is no context, or not enough room for it: a trace must not cause the refusal of a publish. */
function withContext(headers: MessageHeaders | undefined): { readonly headers?: MessageHeaders } {
  const carrier = { ...headers }
  propagation.inject(context.active(), carrier)
  const count = Object.keys(carrier).length
  if (count === 0 || count > MAX_HEADERS) return headers ? { headers } : {}
  return { headers: carrier }
}

function messageIn(received: unknown): Partial<Pick<Message, 'id'>> & IncomingRequest {
  return (received as Delivery).message ?? (received as Message | IncomingRequest)
}

/** Ends a span with what it is about: at once, or when the promise settles. */
function watched<Result>(span: Span, run: () => Result): Result {
  try {
    const result = run()
    if (!isThenable(result)) {
      span.end()
      return result
    }
    // Only one `then`: a thenable of some libraries does its work again with each.
    return Promise.resolve(result)
      .catch((error: unknown) => {
        failed(span, error)
        throw error
      })
      .finally(() => span.end()) as Result
  } catch (error) {
    failed(span, error)
    span.end()
    throw error
  }
}

function failed(span: Span, error: unknown): void {
  const { code, name } = error instanceof Error ? (error as Error & { code?: unknown }) : { name: typeof error }
  span.setAttribute('error.type', typeof code === 'string' ? code : name)
  span.setStatus({ code: SpanStatusCode.ERROR, message: textOf(error) })
}
