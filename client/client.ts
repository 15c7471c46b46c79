/// <reference lib="esnext.disposable" preserve="true" />
import { type Clock, realClock } from '../shared/clock.ts'
import { CONTENT_FRAMES } from '../shared/content-frames.ts'
import type { Exchange, QueuesIn, RequestsIn, TopicsIn } from '../shared/contract.ts'
import { errorFrom, FanfareError } from '../shared/fanfare-error.ts'
import type { MessageHeaders } from '../shared/frames.ts'
import type { Payload, TopicOf } from '../shared/payload.ts'
import { QUEUE_TOPIC } from '../shared/queues.ts'
import { checkFrame } from '../shared/rules.ts'
import { onAbort } from './abort.ts'
import { Admin } from './admin.ts'
import {
  BACKOFF_RULES,
  CALL_RULES,
  type CallOptions,
  CLIENT_RULES,
  CLOSE_RULES,
  type ClientOptions,
  type CloseOptions,
  READY_RULES,
} from './client-options.ts'
import { CONSUME_RULES, type ConsumeOptions, type DeliveryHandler } from './consume-options.ts'
import type { Consumer } from './consumer.ts'
import { Deferred } from './deferred.ts'
import { hubUrl } from './hub-url.ts'
import { type Closed, Link } from './link.ts'
import { checkFunction, checkOptions, msOf, type Rules } from './options.ts'
import { PUBLISH_RULES, type PublishOptions, type Receipt } from './publisher.ts'
import { REQUEST_RULES, type RequestOptions } from './requests.ts'
import { RESPOND_RULES, type RequestHandler, type Responder, type RespondOptions } from './responders.ts'
import type { ConnectionState, ConnectionStateChange } from './state.ts'
import {
  type MessageHandler,
  ownSubscribeOptions,
  SUBSCRIBE_RULES,
  type SubscribeOptions,
} from './subscribe-options.ts'
import type { Subscription } from './subscription.ts'
import { callBack } from './throw-later.ts'
import type { Tracing } from './tracing.ts'
import type { WebSocketClass } from './websocket.ts'

type TopicNames<Topics> = TopicOf<keyof TopicsIn<Topics> & string>
type PayloadOf<Topics, Pattern extends string> = Payload<TopicsIn<Topics>, Pattern>
type QueueNames<Topics> = keyof QueuesIn<Topics> & string
type RequestNames<Topics> = TopicOf<keyof RequestsIn<Topics> & string>
type Asked<Topics, Pattern extends string> = Extract<Payload<RequestsIn<Topics>, Pattern>, Exchange>
/** A name that is in the code: of any other text only the type argument can say what comes. */
type Known<Name extends string> = string extends Name ? never : Name
/** A name of which the contract says nothing: where it speaks of queues or requests at all, there is none such. */
type Unnamed<Names> = [Names] extends [never] ? string : never

const CALL_TIMEOUT_MS = 30_000
const CLOSE_GRACE_MS = 5_000
/** After this long without a connection, a client without a state listener warns on the console, in milliseconds. */
const WARN_AFTER_MS = 5_000

/**
 * A connection to a hub that keeps itself alive.
 *
 * @typeParam Topics - which payload each topic or pattern carries, or a contract: `Client<typeof topics>`
 */
export class Client<Topics extends object = Record<string, unknown>> {
  /** Administration: streams, queues, connections, topics and the hub itself. */
  readonly admin: Admin
  readonly #link: Link
  readonly #stateListeners = new Set<(change: ConnectionStateChange) => void>()
  readonly #trace: Tracing | undefined
  readonly #callTimeoutMs: number
  #offAbort: (() => void) | undefined
  readonly #url: string
  readonly #clock: Clock
  #failure: FanfareError | undefined
  #closing: Promise<Closed> | undefined
  /** Since when there has been no connection, if there is none; infinite once that was reported. */
  #awaySince: number

  /** @internal */
  constructor(
    url: string,
    platformWebSocket: WebSocketClass | undefined,
    options: ClientOptions<Topics>,
    hubGone?: AbortSignal,
  ) {
    checkOptions('connect', options, CLIENT_RULES)
    const { WebSocket = platformWebSocket } = options
    if (!WebSocket) throw new FanfareError('no_websocket')
    const { callTimeout = CALL_TIMEOUT_MS, backoff = {}, clock = realClock } = options
    checkOptions('connect, backoff', backoff, BACKOFF_RULES)
    // The hub closes for good on a hello that it cannot read.
    checkFrame({ type: 'hello', client: options.name, token: options.token }, CONTENT_FRAMES)
    // One that was read from a file ends with a line feed.
    const token = options.token?.trim()
    this.#url = hubUrl(url)
    this.#trace = options.trace
    this.#callTimeoutMs = msOf(callTimeout)
    this.#clock = clock
    this.#awaySince = clock.now()
    this.#link = new Link(
      this.#url,
      { ...options, WebSocket, clock, token, hubGone },
      {
        changed: (change) => this.#changed(change),
        ended: () => {
          this.#offAbort?.()
          this.#stateListeners.clear()
        },
      },
    )
    const call = async (method: string, params?: unknown, untilSent?: boolean) =>
      this.#link.call(method, params, { timeoutMs: this.#callTimeoutMs, untilSent })
    this.admin = new Admin(call, () => this.#link.session.hubNow())
    this.#link.session.open()
    this.#offAbort = onAbort(options.signal, () => this.close())
  }

  /** Where the connection stands now. */
  get state(): ConnectionState {
    return this.#link.session.state
  }

  /**
   * Calls `listener` at every change of state, with the reason. Returns how to stop it. A client without a listener writes one line to the
   * console if it has reached no hub for five seconds.
   */
  onState(listener: (change: ConnectionStateChange) => void): () => void {
    checkFunction('onState', listener)
    this.#stateListeners.add(listener)
    return () => this.#stateListeners.delete(listener)
  }

  /** Resolves once connected. Rejects when the client is closed, with the reason, and with the reason of `signal`. */
  async ready(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    checkOptions('ready', options, READY_RULES)
    const { signal } = options
    const ready = new Deferred()
    const look = () => {
      if (this.state === 'connected') ready.resolve()
      else if (this.state === 'closed') ready.reject(this.#failure ?? new FanfareError('client_closed'))
    }
    const offAbort = onAbort(signal, ready.reject)
    const off = this.onState(look)
    look()
    await ready.promise.finally(() => {
      off()
      offAbort()
    })
  }

  /**
   * Publishes to a topic, and resolves with the hub's receipt. Awaiting it is the backpressure: the hub grants a window of
   * unacknowledged publishes, and what exceeds it waits here, as it does while offline.
   *
   * `data` is anything that JSON can express, or bytes: any typed array, `ArrayBuffer` or `DataView`. They arrive as a `Uint8Array`.
   *
   * What a stream captures or a queue takes is kept when the receipt comes, and a publish that had no answer when the connection was
   * lost is repeated under its id: it is kept once.
   *
   * Rejects with `bad_topic`, `reserved_topic`, `bad_data` (JSON cannot express it, or it breaks the contract that the hub checks),
   * `bad_option`, `bad_frame` (an option breaks the rules of the wire), `forbidden_key`, `nested_too_deeply`, `send_buffer_full`, `frame_too_large`, `queue_limit` (a queue is full and its overflow says `reject`), `storage_full`,
   * `storage_failed`, `outcome_unknown` (it may have been kept or not: publish it again with the same id), `connection_lost` (it may
   * have happened or not, and nothing keeps the topic), `client_closed`,
   * and with the reason of its signal.
   */
  publish<Topic extends TopicNames<Topics>>(
    topic: Topic,
    data: PayloadOf<Topics, Topic>,
    options: PublishOptions = {},
  ): Promise<Receipt> {
    return this.#send('publish', topic, options, PUBLISH_RULES, (traced) =>
      this.#link.publisher.publish(topic, data, traced),
    )
  }

  /**
   * Subscribes to a topic or pattern, to be read with `for await`. Throws `bad_pattern`, `bad_option`, `bad_data`,
   * `frame_too_large`, `client_closed`. What the hub refuses rejects `ready` and ends the loop: `no_stream`,
   * `ambiguous_stream`, `policy_unsupported`, `too_many_subscriptions`. A refusal that may
   * pass (`rate_limited`, `hub_full`) is tried again; see `onInterrupted`.
   */
  subscribe<Pattern extends string>(
    pattern: Pattern & Known<Pattern>,
    options?: SubscribeOptions,
  ): Subscription<PayloadOf<Topics, Pattern>>
  /** The same, with the type of the payload: `client.subscribe<Photo>('photos.uploaded')`. Nothing checks it. */
  subscribe<Data = PayloadOf<Topics, string>>(pattern: string, options?: SubscribeOptions): Subscription<Data>
  /** Subscribes, and calls `handler` with each message. What the hub refuses rejects `ready`. Throws the same. */
  subscribe<Pattern extends string>(
    pattern: Pattern & Known<Pattern>,
    handler: MessageHandler<PayloadOf<Topics, Pattern>>,
    options?: SubscribeOptions,
  ): Subscription<PayloadOf<Topics, Pattern>>
  /** The same, with the type of the payload: `client.subscribe<Photo>('photos.uploaded', show)`. Nothing checks it. */
  subscribe<Data = PayloadOf<Topics, string>>(
    pattern: string,
    handler: MessageHandler<NoInfer<Data>>,
    options?: SubscribeOptions,
  ): Subscription<Data>
  subscribe<Data>(
    pattern: string,
    second: SubscribeOptions | MessageHandler<Data> = {},
    third: SubscribeOptions = {},
  ): Subscription<Data> {
    const [handler, options] = typeof second === 'function' ? [this.#traced(second), third] : [undefined, second]
    checkOptions('subscribe', options, SUBSCRIBE_RULES)
    return this.#link.subscriptions.add(pattern, ownSubscribeOptions(options), handler)
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
    // What is no text is refused as a topic, and not made one.
    const topic = typeof queue === 'string' ? QUEUE_TOPIC + queue : queue
    return this.publish(topic as TopicNames<Topics>, data as never, options)
  }

  /**
   * Consumes a queue: each message goes to one consumer, and comes again until one has acked it. The handler's return
   * acks, a throw nacks with its error; while it runs its time is extended. Throws `bad_option`, `bad_frame` (a name
   * breaks the rules of the wire), `client_closed`; what the hub refuses (`no_queue`, `too_many_subscriptions`, `hub_full`) rejects `ready`.
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
    const [handler, options] = typeof second === 'function' ? [this.#traced(second, queue), third] : [undefined, second]
    checkOptions('consume', options, CONSUME_RULES)
    return this.#link.consume(queue, { ...options }, handler)
  }

  /**
   * Asks, and resolves with the reply of one of those who respond on the topic. Waits for the connection, and for a place in the window
   * that publishes have, too. Rejects with
   * `no_responder` at once, `request_timeout` after `timeout` whatever becomes of the connection, `responder_lost` and `connection_lost` (it may have been handled or not),
   * `responder_failed` (with its words), `bad_topic`, `bad_data` (JSON cannot express it, or it breaks the contract that the hub
   * checks), `bad_option`, `bad_frame`, `forbidden_key`, `frame_too_large`, `send_buffer_full`, `client_closed`.
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
  request(topic: string, data?: unknown, options: RequestOptions = {}): Promise<unknown> {
    return this.#send('request', topic, options, REQUEST_RULES, (traced) => this.#link.request(topic, data, traced))
  }

  /**
   * Answers what is asked on a topic or pattern. Several responders share the requests: each goes to the one with the
   * fewest open. Whatever the handler returns or throws, the asker has an answer. Throws `bad_pattern`, `bad_option`, `client_closed`; what the hub
   * refuses (`too_many_subscriptions`) rejects `ready`, unless it may pass.
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
    checkFunction('respond', handler)
    checkOptions('respond', options, RESPOND_RULES)
    return this.#link.respond(pattern, this.#traced(handler as RequestHandler<unknown, unknown>), { ...options })
  }

  /**
   * Asks the hub for one of its methods; PROTOCOL.md lists them. Waits for the connection.
   *
   * @throws {FanfareError} what the method refuses, `unknown_method`, `bad_params`, `bad_data` (JSON cannot express the parameters),
   * `forbidden_key`, `frame_too_large`, `send_buffer_full`; `request_timeout` and `connection_lost`: it may have happened or not
   */
  async call(method: string, params?: unknown, options: CallOptions = {}): Promise<unknown> {
    checkOptions('call', options, CALL_RULES)
    const { timeout = this.#callTimeoutMs, signal } = options
    return this.#link.call(method, params, { timeoutMs: msOf(timeout), signal })
  }

  /**
   * Closes for good, after it has sent what was accepted before and awaited what is under way: publishes, requests, calls, handlers of
   * queues and requests, cursors. Whatever has no answer in time rejects with `client_closed` if it was never sent, and with
   * `connection_lost` if it was. Resolves to how many those are; all calls have the same result. A handler must not await it: it waits
   * for that handler until its time is up.
   *
   * @example
   * ```
   * client.publish('goodbye', 1)
   * const { unsent, unanswered } = await client.close({ timeout: '1s' })
   * ```
   */
  async close(options: CloseOptions = {}): Promise<Closed> {
    checkOptions('close', options, CLOSE_RULES)
    // One close for all callers: a signal and a `finally` often ask for it both.
    this.#closing ??= this.#link.close(msOf(options.timeout ?? CLOSE_GRACE_MS))
    return this.#closing
  }

  /**
   * The same as `close()`, for `await using`.
   *
   * @example
   * ```
   * await using client = connect('ws://localhost:4747')
   * ```
   */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #changed(change: ConnectionStateChange): void {
    const { to, reason } = change
    if (to === 'closed' && reason.code !== 'closed_by_client') this.#failure = errorFrom({ ...reason, retry: false })
    this.#warn(change)
    for (const listener of [...this.#stateListeners]) callBack(() => listener(change))
  }

  /** Warns once that no hub answers, if there is no listener to report it to. */
  #warn({ from, to, reason }: ConnectionStateChange): void {
    const now = this.#clock.now()
    if (from === 'connected') this.#awaySince = now
    if (to !== 'waiting' || this.#stateListeners.size > 0 || now - this.#awaySince < WARN_AFTER_MS) return
    this.#awaySince = Number.POSITIVE_INFINITY
    const [why] = reason.message.split('. ')
    console.warn(`fanfare: ${this.#url} cannot be reached (${why}). The client keeps trying.`)
  }

  async #send<Options extends { readonly headers?: MessageHeaders | undefined }, Answer>(
    operation: 'publish' | 'request',
    topic: string,
    options: Options,
    rules: Rules<Options>,
    send: (options: Options) => Promise<Answer>,
  ): Promise<Answer> {
    checkOptions(operation, options, rules)
    return this.#trace?.send(operation, topic, options, send) ?? send(options)
  }

  #traced<Received, Result>(handler: (received: Received) => Result, queue?: string) {
    return this.#trace?.handler(handler, queue) ?? handler
  }
}
