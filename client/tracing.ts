import type { MessageHeaders } from '../shared/frames.ts'

/** Options with headers. */
interface Sending {
  readonly headers?: MessageHeaders | undefined
}

/** Carries a trace from sender to handler, in headers; `openTelemetry()` of `fanfare/opentelemetry` makes one. */
export interface Tracing {
  /** Calls `send` with the options, whose headers have the context added, and records the outcome. */
  send<Options extends Sending, Answer>(
    operation: 'publish' | 'request',
    topic: string,
    options: Options,
    send: (options: Options) => Promise<Answer>,
  ): Promise<Answer>
  /** The headers of a publish that goes with an ack, with the context. */
  headers(headers: MessageHeaders | undefined): { readonly headers?: MessageHeaders }
  /** The same handler, run in the context of its message, delivery or request; `queue` is the queue of a delivery. */
  handler<Received, Result>(handler: (received: Received) => Result, queue?: string): (received: Received) => Result
}
