import type { MessageHeaders } from '../shared/frames.ts'

/** What goes out with headers. */
interface Sending {
  readonly headers?: MessageHeaders | undefined
}

/** Carries a trace from sender to handler, in headers; `openTelemetry()` of `fanfare/opentelemetry` makes one. */
export interface Tracing {
  /** Calls `send` with the options, to the headers of which the context was added, and watches what becomes of it. */
  send<Options extends Sending, Answer>(
    operation: 'publish' | 'request',
    topic: string,
    options: Options,
    send: (options: Options) => Promise<Answer>,
  ): Promise<Answer>
  /** The context that a publish takes along which goes with an ack. */
  headers(headers: MessageHeaders | undefined): { readonly headers?: MessageHeaders }
  /** The same handler, run in the context that its message, delivery or request came with; `queue` is where that was. */
  handler<Received, Result>(handler: (received: Received) => Result, queue?: string): (received: Received) => Result
}
