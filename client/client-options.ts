import type { Clock } from '../shared/clock.ts'
import type { Contract } from '../shared/contract.ts'
import { CLIENT_NAME, TOKEN } from '../shared/field-rules.ts'
import type { Duration } from '../shared/time.ts'
import type { Backoff } from './backoff.ts'
import { ANY, COUNT, FUNCTION, methods, OBJECT, type Rules, SIGNAL, WAIT } from './options.ts'
import type { GetToken } from './tokens.ts'
import type { Tracing } from './tracing.ts'
import type { WebSocketClass } from './websocket.ts'

export interface ClientOptions<Topics extends object = Record<string, unknown>> {
  /** What `defineTopics` made: the types of topics, queues and requests come from it. Only the hub checks them. */
  readonly topics?: Topics & Contract
  /** The class to connect with: the platform's own by default, in Node that of `ws`. */
  readonly WebSocket?: WebSocketClass | undefined
  /**
   * Maximum publishes, requests and calls that wait here, while offline or for the window. One more rejects with `send_buffer_full`.
   * @default 10_000
   */
  readonly queueLimit?: number | undefined
  /**
   * Maximum size of what waits here, in bytes of encoded text and payloads. What exceeds it rejects with `send_buffer_full`.
   * @default 67_108_864
   */
  readonly queueLimitBytes?: number | undefined
  /** Bounds of the wait before another try: one to five seconds by default. */
  readonly backoff?: Backoff | undefined
  /**
   * Maximum wait for the answer to a call (`call` and everything of `admin`), from the call on, also while there is no connection. Then
   * it rejects with `request_timeout`.
   * @default '30s'
   */
  readonly callTimeout?: Duration | undefined
  /** An API key, a JWT, or anything else that the hub's program accepts. If the hub refuses it, the client is closed. */
  readonly token?: string | undefined
  /**
   * Called for a token before each connection, and again before the token expires, which keeps the open connection. If it
   * throws, gives no string, or gives a token that the hub refuses, the client waits longer each time and calls it again; `onState` reports
   * every such try (`token_unavailable`, `unauthenticated`, `token_expired`). It takes precedence over `token`.
   */
  readonly getToken?: GetToken | undefined
  /** Name and version of the program, for the hub's log. */
  readonly name?: string | undefined
  /** The source of time: the platform by default; `fanfare/testing` has one that a test advances. */
  readonly clock?: Clock | undefined
  /** Carries traces from publish to handler: `openTelemetry()` of `fanfare/opentelemetry`. None by default. */
  readonly trace?: Tracing | undefined
  /** Closes the client. */
  readonly signal?: AbortSignal | undefined
}

/** Options of `client.call`. */
export interface CallOptions {
  /**
   * Maximum wait for the answer, from the call on, also while there is no connection.
   * @default `callTimeout` of the client
   */
  readonly timeout?: Duration | undefined
  /** Stops waiting. The hub may still do it. */
  readonly signal?: AbortSignal | undefined
}

/** Options of `client.close`. */
export interface CloseOptions {
  /**
   * Maximum wait for work in progress.
   * @default '5s'
   */
  readonly timeout?: Duration | undefined
}

export const CLIENT_RULES: Rules<ClientOptions> = {
  topics: OBJECT,
  WebSocket: FUNCTION,
  queueLimit: COUNT,
  queueLimitBytes: COUNT,
  backoff: ANY,
  callTimeout: WAIT,
  token: TOKEN,
  getToken: FUNCTION,
  name: CLIENT_NAME,
  clock: methods('now', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'jitter'),
  trace: methods('send', 'headers', 'handler'),
  signal: SIGNAL,
}
export const BACKOFF_RULES: Rules<Backoff> = { base: WAIT, cap: WAIT }
export const CALL_RULES: Rules<CallOptions> = { timeout: WAIT, signal: SIGNAL }
export const READY_RULES: Rules<Pick<CallOptions, 'signal'>> = { signal: SIGNAL }
export const CLOSE_RULES: Rules<CloseOptions> = { timeout: WAIT }
