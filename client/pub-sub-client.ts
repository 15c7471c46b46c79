/// <reference lib="esnext.disposable" preserve="true" />
import type { Clock } from '../shared/clock.ts'
import type { Exchange, RequestsIn, TopicsIn } from '../shared/contract.ts'
import { errorFrom, FanfareError } from '../shared/fanfare-error.ts'
import type { MessageHeaders } from '../shared/frames.ts'
import type { Payload, TopicOf } from '../shared/payload.ts'
import { onAbort } from './abort.ts'
import {
  BACKOFF_RULES,
  CLIENT_RULES,
  CLOSE_RULES,
  type ClientOptions,
  type CloseOptions,
  READY_RULES,
} from './client-options.ts'
import { Deferred } from './deferred.ts'
import { hubUrl, shownUrl } from './hub-url.ts'
import { type Closed, Link } from './link.ts'
import { checkFunction, checkOptions, msOf, type Rules } from './options.ts'
import { platformClock } from './platform-clock.ts'
import { PUBLISH_RULES, type PublishOptions, type Receipt } from './publisher.ts'
import { REQUEST_RULES, type RequestOptions } from './requests.ts'
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

export type TopicNames<Topics> = TopicOf<keyof TopicsIn<Topics> & string>
type PayloadOf<Topics, Pattern extends string> = Payload<TopicsIn<Topics>, Pattern>
export type RequestNames<Topics> = TopicOf<keyof RequestsIn<Topics> & string>
export type Asked<Topics, Pattern extends string> = Extract<Payload<RequestsIn<Topics>, Pattern>, Exchange>
/** A name that the contract does not have. If the contract has queues or requests at all, no such name is allowed. */
export type Unnamed<Names> = [Names] extends [never] ? string : never

const CLOSE_GRACE_MS = 5_000
/** A client without a state listener warns on the console once a lost connection has been away for this long, in milliseconds. */
const WARN_AFTER_MS = 5_000

/**
 * A connection to a hub that reconnects by itself, from `@fanfare/client/pubsub`: it publishes, subscribes and requests.
 *
 * @typeParam Topics - which payload each topic or pattern carries, or a contract: `Client<typeof topics>`
 */
export class PubSubClient<Topics extends object = Record<string, unknown>> {
  /** @internal */
  protected readonly link: Link
  readonly #signal: AbortSignal | undefined
  readonly #stateListeners = new Set<(change: ConnectionStateChange) => void>()
  /** Calls of `ready` that wait. */
  readonly #waiting = new Set<() => void>()
  /** @internal */
  protected readonly trace: Tracing | undefined
  #offAbort: (() => void) | undefined
  readonly #url: string
  readonly #clock: Clock
  #failure: FanfareError | undefined
  #closing: Promise<Closed> | undefined
  /** Since when there has been no connection, if there is none: forever if there never was one, and infinite once that was reported. */
  #awaySince = Number.NEGATIVE_INFINITY

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
    const { backoff = {}, clock = platformClock } = options
    checkOptions('connect, backoff', backoff, BACKOFF_RULES)
    // One that was read from a file ends with a line feed.
    const token = options.token?.trim()
    this.#url = hubUrl(url)
    this.trace = options.trace
    this.#clock = clock
    this.link = new Link(
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
    this.#signal = options.signal
  }

  /** @internal Begins to connect, once every part exists that may receive frames. */
  open(): this {
    this.link.session.open()
    this.#offAbort = onAbort(this.#signal, () => this.close())
    return this
  }

  /** The current state of the connection. */
  get state(): ConnectionState {
    return this.link.session.state
  }

  /**
   * Calls `listener` at every change of state, with the reason. Returns how to stop it. A client without a listener writes one line to the
   * console if its first attempt to connect fails, or if a lost connection has not come back after five seconds.
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
    // It is not a state listener: the warning on the console is still due.
    this.#waiting.add(look)
    look()
    await ready.promise.finally(() => {
      this.#waiting.delete(look)
      offAbort()
    })
  }

  /**
   * Publishes to a topic, and resolves with the hub's receipt. Await it for backpressure: the hub grants a window of
   * unacknowledged publishes, and more of them wait here, as all do while offline. Without a connection it waits as long as that takes:
   * pass a `signal` to limit the wait, such as `AbortSignal.timeout(5_000)`.
   *
   * `data` is anything that JSON can express, or bytes: any typed array, `ArrayBuffer` or `DataView`. They arrive as a `Uint8Array`.
   * With `undefined` the message has no data, and arrives with `data: undefined`. `null` arrives as `null`.
   *
   * When the receipt arrives, streams and queues have stored the message. A publish without an answer when the connection is
   * lost is repeated under its id, so that it is stored once.
   *
   * Rejects with `bad_topic`, `reserved_topic`, `bad_data` (JSON cannot express it, or it breaks the contract that the hub checks),
   * `bad_option`, `forbidden_key`, `nested_too_deeply`, `send_buffer_full`, `frame_too_large`,
   * `queue_limit` (a queue is full and its overflow is `reject`), `storage_full`,
   * `storage_failed`, `outcome_unknown` (it may or may not have been stored: publish it again with the same id), `connection_lost` (it may
   * or may not have happened, and nothing stores the topic), `client_closed`,
   * and with the reason of its signal.
   */
  publish<Topic extends TopicNames<Topics>>(
    topic: Topic,
    data: PayloadOf<Topics, Topic>,
    options: PublishOptions = {},
  ): Promise<Receipt> {
    return this.#send('publish', topic, options, PUBLISH_RULES, (traced) =>
      this.link.publisher.publish(topic, data, traced),
    )
  }

  /**
   * Subscribes to a topic or pattern, to be read with `for await`. Throws `bad_pattern`, `bad_option`, `bad_data`,
   * `frame_too_large`, `client_closed`. What the hub refuses rejects `ready` and ends the loop: `no_stream`,
   * `ambiguous_stream`, `policy_unsupported`, `too_many_subscriptions`. A refusal that may
   * pass (`rate_limited`, `hub_full`) is tried again; see `onInterrupted`.
   */
  subscribe<Pattern extends string, _Inferred extends Pattern>(
    pattern: Pattern,
    options?: SubscribeOptions,
  ): Subscription<PayloadOf<Topics, Pattern>>
  /** The same, with the type of the payload: `client.subscribe<Photo>('photos.uploaded')`. Nothing checks it. */
  subscribe<Data = PayloadOf<Topics, string>>(pattern: string, options?: SubscribeOptions): Subscription<Data>
  /** Subscribes, and calls `handler` with each message. What the hub refuses rejects `ready`. Throws the same. */
  subscribe<Pattern extends string, _Inferred extends Pattern>(
    pattern: Pattern,
    handler: MessageHandler<PayloadOf<Topics, Pattern>>,
    options?: SubscribeOptions,
  ): Subscription<PayloadOf<Topics, Pattern>>
  /** The same, with the type of the payload: `client.subscribe<Photo>('photos.uploaded', show)`. Nothing checks it. */
  subscribe<Data = PayloadOf<Topics, string>>(
    pattern: string,
    handler: MessageHandler<NoInfer<Data>>,
    options?: SubscribeOptions,
  ): Subscription<Data>
  // Both type arguments are inferred or neither: a single one is the payload, which is the other form.
  subscribe<Data>(
    pattern: string,
    second: SubscribeOptions | MessageHandler<Data> = {},
    third: SubscribeOptions = {},
  ): Subscription<Data> {
    const [handler, options] = typeof second === 'function' ? [this.traced(second), third] : [undefined, second]
    checkOptions('subscribe', options, SUBSCRIBE_RULES)
    return this.link.subscriptions.add(pattern, ownSubscribeOptions(options), handler)
  }

  /**
   * Sends a request, and resolves with the reply of one responder on the topic. Waits for the connection, and for a place in the window
   * that it shares with publishes. Rejects with
   * `no_responder` at once, `request_timeout` after `timeout` in any case, `responder_lost` and `connection_lost` (it may or may not have been handled),
   * `responder_failed` (with the responder's message), `bad_topic`, `bad_data` (JSON cannot express it, or it breaks the contract that the hub
   * checks), `bad_option`, `forbidden_key`, `frame_too_large`, `send_buffer_full`, `client_closed`.
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
    return this.#send('request', topic, options, REQUEST_RULES, (traced) => this.link.request(topic, data, traced))
  }

  /**
   * Closes for good, after sending what was accepted before and awaiting work in progress: publishes, requests, calls, handlers of
   * queues and requests, cursors. Whatever has no answer in time rejects with `client_closed` if it was never sent, and with
   * `connection_lost` if it was. Resolves with their numbers; all calls have the same result. A handler must not await it, because it waits
   * for that handler until the timeout.
   *
   * @example
   * ```
   * client.publish('goodbye', 1)
   * const { unsent, unanswered } = await client.close({ timeout: '1s' })
   * ```
   */
  async close(options: CloseOptions = {}): Promise<Closed> {
    checkOptions('close', options, CLOSE_RULES)
    // One close for all callers: often both a signal and a `finally` call it.
    this.#closing ??= this.link.close(msOf(options.timeout ?? CLOSE_GRACE_MS))
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
    for (const look of [...this.#waiting]) look()
    for (const listener of [...this.#stateListeners]) callBack(() => listener(change))
  }

  /** Warns once that no hub answers, if there is no listener to report it to. */
  #warn({ from, to, reason }: ConnectionStateChange): void {
    const now = this.#clock.now()
    if (from === 'connected') this.#awaySince = now
    if (to !== 'waiting' || this.#stateListeners.size > 0 || now - this.#awaySince < WARN_AFTER_MS) return
    this.#awaySince = Number.POSITIVE_INFINITY
    console.warn(`fanfare: Not connected to ${shownUrl(this.#url)}, trying again. ${reason.message}`)
  }

  async #send<Options extends { readonly headers?: MessageHeaders | undefined }, Answer>(
    operation: 'publish' | 'request',
    topic: string,
    options: Options,
    rules: Rules<Options>,
    send: (options: Options) => Promise<Answer>,
  ): Promise<Answer> {
    checkOptions(operation, options, rules)
    return this.trace?.send(operation, topic, options, send) ?? send(options)
  }

  /** @internal */
  protected traced<Received, Result>(handler: (received: Received) => Result, queue?: string) {
    return this.trace?.handler(handler, queue) ?? handler
  }
}
