import { type Clock, realClock } from '../shared/clock.ts'
import type { Contract, Exchange, QueuesIn, RequestsIn, TopicsIn } from '../shared/contract.ts'
import { FanfareError } from '../shared/errors.ts'
import type { Headers } from '../shared/frames.ts'
import { parseFrame } from '../shared/parse-frame.ts'
import type { Payload, TopicOf } from '../shared/payload.ts'
import { QUEUE_TOPIC } from '../shared/queues.ts'
import type { Backoff } from './backoff.ts'
import type { ConsumeOptions, DeliveryHandler } from './consume-options.ts'
import type { Consumer } from './consumer.ts'
import { ConnectionAdmin, HubAdmin, TopicAdmin } from './hub.ts'
import { Link } from './link.ts'
import type { PublishOptions, Receipt } from './publisher.ts'
import { QueueAdmin } from './queues.ts'
import type { RequestHandler, RequestOptions, Responder, RespondOptions } from './requests.ts'
import { errorFrom, type State, type StateChange } from './session.ts'
import { StreamAdmin } from './streams.ts'
import type { Handler, SubscribeOptions } from './subscribe-options.ts'
import type { Subscription } from './subscription.ts'
import { throwLater } from './throw-later.ts'
import type { GetToken } from './tokens.ts'
import type { Tracing } from './tracing.ts'
import type { WebSocketClass } from './websocket.ts'

export interface ClientOptions<Topics extends object = Record<string, unknown>> {
  /** What `defineTopics` made: the types of topics, queues and requests come from it. Checking them is the hub's. */
  readonly topics?: Topics & Contract
  /** The class to connect with: the platform's own by default, in Node that of `ws`. */
  readonly WebSocket?: WebSocketClass
  /** Publishes that may wait, while offline or for the window: 10,000 by default. */
  readonly queueLimit?: number
  /** Bounds of the wait before another try: one to five seconds by default. */
  readonly backoff?: Backoff
  /** Says who it is: an API key, a JWT, or what the hub's program understands. One that is refused closes the client. */
  readonly token?: string
  /**
   * Asks for a token, for each connection and again before one expires, on the connection that stands. While it fails the client
   * waits and asks again (`token_unavailable`); a token that is refused is asked for anew, once. Stronger than `token`.
   */
  readonly getToken?: GetToken
  /** Name and version of the program, for the hub's log. */
  readonly name?: string
  /** Where it has its time from: the platform by default; `fanfare/testing` has one that is moved by hand. */
  readonly clock?: Clock
  /** Carries traces from publish to handler: `openTelemetry()` of `fanfare/opentelemetry`. None by default. */
  readonly trace?: Tracing
  /** Closes the client. */
  readonly signal?: AbortSignal
}

type TopicNames<Topics> = TopicOf<keyof TopicsIn<Topics> & string>
type PayloadOf<Topics, Pattern extends string> = Payload<TopicsIn<Topics>, Pattern>
type QueueNames<Topics> = keyof QueuesIn<Topics> & string
type RequestNames<Topics> = TopicOf<keyof RequestsIn<Topics> & string>
type Asked<Topics, Pattern extends string> = Extract<Payload<RequestsIn<Topics>, Pattern>, Exchange>
/** A name of which the contract says nothing: where it speaks of queues or requests at all, there is none such. */
type Unnamed<Names> = [Names] extends [never] ? string : never

const REQUEST_TIMEOUT_MS = 10_000

/**
 * A connection to a hub that keeps itself alive.
 *
 * @typeParam Topics - which payload each topic or pattern carries, or a contract: `Client<typeof topics>`
 */
export class Client<Topics extends object = Record<string, unknown>> {
  /** What an operator does with streams. */
  readonly streams: StreamAdmin
  /** What an operator does with queues and their dead letters. */
  readonly queues: QueueAdmin
  /** What an operator sees of the hub as a whole. */
  readonly hub: HubAdmin
  /** What an operator does with connections. */
  readonly connections: ConnectionAdmin
  /** What an operator sees of topics. */
  readonly topics: TopicAdmin
  private readonly link: Link
  private readonly stateListeners = new Set<(change: StateChange) => void>()
  private readonly options: ClientOptions<Topics>
  private readonly abort = () => void this.close()
  private failure: FanfareError | undefined
  private closing: Promise<void> | undefined

  /** @internal */
  constructor(url: string, WebSocket: WebSocketClass, options: ClientOptions<Topics>) {
    // The hub closes for good on a hello that it cannot read.
    parseFrame({ type: 'hello', client: options.name, token: options.token })
    if (/[?&](access_)?token=/.test(url)) throw new FanfareError('token_in_url', 'Give connect() the option token')
    this.options = options
    const { name, token, getToken, trace } = options
    const { backoff = { baseMs: 1_000, capMs: 5_000 }, clock = realClock, queueLimit = 10_000 } = options
    const linked = { WebSocket, backoff, name, clock, token, getToken, queueLimit, trace }
    this.link = new Link(url, linked, {
      changed: (change) => this.changed(change),
      ended: () => this.ended(),
    })
    this.streams = new StreamAdmin((method, params) => this.call(method, params))
    this.queues = new QueueAdmin((method, params) => this.call(method, params))
    this.hub = new HubAdmin(
      (method, params) => this.call(method, params),
      () => this.link.session.hubNow(),
    )
    this.connections = new ConnectionAdmin((method, params) => this.call(method, params))
    this.topics = new TopicAdmin((method, params) => this.call(method, params))
    options.signal?.addEventListener('abort', this.abort, { once: true })
    this.link.session.open()
    // The event of a signal that was aborted before never comes.
    if (options.signal?.aborted) this.abort()
  }

  /** Where the connection stands now. */
  get state(): State {
    return this.link.session.state
  }

  /** Calls `listener` at every change of state, with the reason. Returns how to stop it. */
  onState(listener: (change: StateChange) => void): () => void {
    this.stateListeners.add(listener)
    return () => this.stateListeners.delete(listener)
  }

  /** Resolves once connected. Rejects when the client is closed, with the reason. */
  async ready(options: { signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options
    signal?.throwIfAborted()
    if (this.state === 'connected') return
    if (this.state === 'closed') throw this.failure ?? new FanfareError('client_closed')
    await new Promise<void>((resolve, reject) => {
      const settle = (act: () => void) => {
        off()
        signal?.removeEventListener('abort', abort)
        act()
      }
      const abort = () => settle(() => reject(signal?.reason))
      const off = this.onState(({ to }) => {
        if (to === 'connected') settle(resolve)
        else if (to === 'closed') settle(() => reject(this.failure ?? new FanfareError('client_closed')))
      })
      signal?.addEventListener('abort', abort, { once: true })
    })
  }

  /**
   * Publishes to a topic, and resolves with the hub's receipt. Awaiting it is the backpressure: the hub grants a window of
   * unacknowledged publishes, and what exceeds it waits here, as it does while offline.
   *
   * `data` is anything that JSON can say, or bytes (`Uint8Array`, `ArrayBuffer`).
   *
   * What a stream captures or a queue takes is kept when the receipt comes, and a publish that had no answer when the connection was
   * lost is repeated under its id: it is kept once.
   *
   * Rejects with `bad_topic`, `reserved_topic`, `bad_data` (it breaks the contract that the hub checks), `bad_frame` (an
   * option is wrong), `forbidden_key`, `queue_full`, `frame_too_large`, `queue_limit` (a queue is full and its overflow says `reject`), `storage_full`,
   * `storage_failed`, `connection_lost` (it may have happened or not, and nothing keeps the topic), `client_closed`,
   * and with the reason of its signal.
   */
  publish<Topic extends TopicNames<Topics>>(
    topic: Topic,
    data: PayloadOf<Topics, Topic>,
    options: PublishOptions = {},
  ): Promise<Receipt> {
    return this.send('publish', topic, options, (traced) => this.link.publisher.publish(topic, data, traced))
  }

  /**
   * Subscribes to a topic or pattern, to be read with `for await`. Throws `bad_pattern`, `bad_frame` (an option is wrong),
   * `client_closed`. What the hub refuses rejects `ready` and ends the loop: `no_stream`, `ambiguous_stream`,
   * `policy_unsupported`, `too_many_subscriptions`.
   */
  subscribe<Pattern extends string>(
    pattern: Pattern,
    options?: SubscribeOptions,
  ): Subscription<PayloadOf<Topics, Pattern>>
  /** Subscribes, and calls `handler` with each message. What the hub refuses rejects `ready`. Throws the same. */
  subscribe<Pattern extends string>(
    pattern: Pattern,
    handler: Handler<PayloadOf<Topics, Pattern>>,
    options?: SubscribeOptions,
  ): Subscription<PayloadOf<Topics, Pattern>>
  subscribe<Pattern extends string>(
    pattern: Pattern,
    second: SubscribeOptions | Handler<PayloadOf<Topics, Pattern>> = {},
    third: SubscribeOptions = {},
  ): Subscription<PayloadOf<Topics, Pattern>> {
    if (this.state === 'closed') throw new FanfareError('client_closed')
    return typeof second === 'function'
      ? this.link.subscriptions.add(pattern, third, this.traced(second))
      : this.link.subscriptions.add(pattern, second, undefined)
  }

  /**
   * Publishes straight to a queue, past all bindings; no subscription of a topic gets it. Rejects with `no_queue`, and
   * with what `publish` does.
   */
  enqueue(queue: Unnamed<QueueNames<Topics>>, data: unknown, options?: PublishOptions): Promise<Receipt>
  enqueue<Queue extends QueueNames<Topics>>(
    queue: Queue,
    data: QueuesIn<Topics>[Queue],
    options?: PublishOptions,
  ): Promise<Receipt>
  enqueue(queue: string, data: unknown, options: PublishOptions = {}): Promise<Receipt> {
    const topic = QUEUE_TOPIC + queue
    return this.send('publish', topic, options, (traced) => this.link.publisher.publish(topic, data, traced))
  }

  /**
   * Consumes a queue: each message goes to one consumer, and comes again until one has acked it. The handler's return
   * acks, a throw nacks with its error; while it runs its time is extended. Throws `bad_frame` (a name or option is
   * wrong), `client_closed`; what the hub refuses (`no_queue`, `too_many_subscriptions`) rejects `ready`.
   *
   * @typeParam Data - the payload of the queue's messages, where no contract names it
   */
  consume<Data = TopicsIn<Topics>[keyof TopicsIn<Topics>]>(
    queue: Unnamed<QueueNames<Topics>>,
    handler: DeliveryHandler<Data>,
    options?: ConsumeOptions,
  ): Consumer<Data>
  consume<Queue extends QueueNames<Topics>>(
    queue: Queue,
    handler: DeliveryHandler<QueuesIn<Topics>[Queue]>,
    options?: ConsumeOptions,
  ): Consumer<QueuesIn<Topics>[Queue]>
  /**
   * Consumes a queue with `for await`; each delivery is to be settled with `ack`, `nack` or `reject`. Nothing is extended
   * by itself here. What the hub refuses is thrown by the loop too.
   */
  consume<Data = TopicsIn<Topics>[keyof TopicsIn<Topics>]>(
    queue: Unnamed<QueueNames<Topics>>,
    options?: ConsumeOptions,
  ): Consumer<Data>
  consume<Queue extends QueueNames<Topics>>(queue: Queue, options?: ConsumeOptions): Consumer<QueuesIn<Topics>[Queue]>
  consume<Data>(
    queue: string,
    second: ConsumeOptions | DeliveryHandler<Data> = {},
    third: ConsumeOptions = {},
  ): Consumer<Data> {
    if (this.state === 'closed') throw new FanfareError('client_closed')
    return typeof second === 'function'
      ? this.link.consumers.add(queue, third, this.traced(second, queue))
      : this.link.consumers.add<Data>(queue, second, undefined)
  }

  /**
   * Asks, and resolves with the reply of one of those who respond on the topic. Waits for the connection. Rejects with
   * `no_responder` at once, `request_timeout` after `timeoutMs` whatever becomes of the connection, `responder_lost` and `connection_lost` (it may have been handled or not),
   * `responder_failed` (with its words), `bad_topic`, `bad_data` (it breaks the contract that the hub checks), `bad_frame`,
   * `frame_too_large`, `client_closed`.
   */
  request<Reply = unknown>(
    topic: Unnamed<RequestNames<Topics>>,
    data?: unknown,
    options?: RequestOptions,
  ): Promise<Reply>
  request<Topic extends RequestNames<Topics>>(
    topic: Topic,
    data: Asked<Topics, Topic>['request'],
    options?: RequestOptions,
  ): Promise<Asked<Topics, Topic>['reply']>
  async request(topic: string, data?: unknown, options: RequestOptions = {}): Promise<unknown> {
    const { timeoutMs = REQUEST_TIMEOUT_MS, signal } = options
    const { clock = realClock } = this.options
    // The hub has a timer as well, which does not help while it is out of reach.
    const deadline = clock.now() + timeoutMs
    const ended = new AbortController()
    const timer = clock.setTimeout(() => ended.abort(new FanfareError('request_timeout')), timeoutMs)
    const abort = () => ended.abort(signal?.reason)
    signal?.addEventListener('abort', abort, { once: true })
    if (signal?.aborted) abort()
    try {
      await this.ready({ signal: ended.signal })
      const left = timeoutMs > 0 ? Math.max(1, Math.ceil(deadline - clock.now())) : timeoutMs
      const asked = { ...options, timeoutMs: left, signal: ended.signal }
      return await this.send('request', topic, asked, (traced) => this.link.requests.request(topic, data, traced))
    } finally {
      clock.clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
    }
  }

  /**
   * Answers what is asked on a topic or pattern. Several responders share the requests: each goes to the one with the
   * fewest open. Throws `bad_pattern`, `client_closed`.
   */
  respond<Data = unknown, Reply = unknown>(
    pattern: Unnamed<RequestNames<Topics>>,
    handler: RequestHandler<Data, Reply>,
    options?: RespondOptions,
  ): Responder
  respond<Pattern extends string>(
    pattern: Pattern,
    handler: RequestHandler<Asked<Topics, Pattern>['request'], Asked<Topics, Pattern>['reply']>,
    options?: RespondOptions,
  ): Responder
  respond(pattern: string, handler: RequestHandler<never, unknown>, options: RespondOptions = {}): Responder {
    if (this.state === 'closed') throw new FanfareError('client_closed')
    return this.link.requests.respond(pattern, this.traced(handler as RequestHandler<unknown, unknown>), options)
  }

  /**
   * Asks the hub for one of its methods; PROTOCOL.md lists them. Waits for the connection. Rejects with what the method
   * refuses, `unknown_method`, `bad_params`, and `connection_lost`, when it may have happened or not.
   */
  async call(method: string, params?: unknown, options: { signal?: AbortSignal } = {}): Promise<unknown> {
    await this.ready(options)
    return this.link.calls.call(method, params)
  }

  /**
   * Waits for publishes and handlers of queues that are under way, stores cursors, all for five seconds at most, and
   * closes for good. Whatever is still waiting rejects with `client_closed`.
   */
  close(): Promise<void> {
    // One close for all callers: a signal and a `finally` often ask for it both.
    this.closing ??= this.link.close()
    return this.closing
  }

  private changed(change: StateChange): void {
    const { to, reason } = change
    if (to === 'closed' && reason.code !== 'closed_by_client') this.failure = errorFrom(reason.code, reason.message)
    for (const listener of [...this.stateListeners]) {
      try {
        listener(change)
      } catch (error) {
        throwLater(error)
      }
    }
  }

  private ended(): void {
    this.options.signal?.removeEventListener('abort', this.abort)
    this.stateListeners.clear()
  }

  private send<Options extends { readonly headers?: Headers }, Answer>(
    operation: 'publish' | 'request',
    topic: string,
    options: Options,
    send: (options: Options) => Promise<Answer>,
  ): Promise<Answer> {
    return this.options.trace?.send(operation, topic, options, send) ?? send(options)
  }

  private traced<Received, Result>(handler: (received: Received) => Result, queue?: string) {
    return this.options.trace?.handler(handler, queue) ?? handler
  }
}
