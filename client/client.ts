import { FanfareError } from '../shared/errors.ts'
import type { ErrorFrame, Frame, WelcomeFrame } from '../shared/frames.ts'
import { parseFrame } from '../shared/parse-frame.ts'
import type { Backoff } from './backoff.ts'
import { Calls } from './calls.ts'
import { Publisher, type PublishOptions, type Receipt } from './publisher.ts'
import { errorFrom, Session, type SessionListener, type State, type StateChange } from './session.ts'
import { StreamAdmin } from './streams.ts'
import type { Handler, SubscribeOptions, Subscription } from './subscription.ts'
import { Subscriptions } from './subscriptions.ts'
import { throwLater } from './throw-later.ts'
import type { WebSocketClass } from './websocket.ts'

export interface ClientOptions {
  /** The class to connect with: the platform's own by default, in Node that of `ws`. */
  readonly WebSocket?: WebSocketClass
  /** Publishes that may wait, while offline or for the window: 10,000 by default. */
  readonly queueLimit?: number
  /** Bounds of the wait before another try: 200 ms to 20 s by default. */
  readonly backoff?: Backoff
  /** Name and version of the program, for the hub's log. */
  readonly name?: string
  /** Closes the client. */
  readonly signal?: AbortSignal
}

/** The payload of a topic; of a pattern, any payload. */
export type Payload<Topics, Pattern extends string> = Pattern extends keyof Topics
  ? Topics[Pattern]
  : Topics[keyof Topics]

/** Time that `close` gives publishes that are under way, in milliseconds. */
const CLOSE_GRACE_MS = 5_000

/** A connection to a hub that keeps itself alive. */
export class Client<Topics extends object = Record<string, unknown>> implements SessionListener {
  /** What an operator does with streams. */
  readonly streams: StreamAdmin
  private readonly session: Session
  private readonly publisher: Publisher
  private readonly calls: Calls
  private readonly subscriptions: Subscriptions
  private readonly stateListeners = new Set<(change: StateChange) => void>()
  private readonly options: ClientOptions
  private readonly abort = () => void this.close()
  private failure: FanfareError | undefined
  private closing: Promise<void> | undefined

  /** @internal */
  constructor(url: string, WebSocket: WebSocketClass, options: ClientOptions) {
    // The hub closes for good on a hello that it cannot read.
    parseFrame({ type: 'hello', client: options.name })
    const backoff = options.backoff ?? { baseMs: 200, capMs: 20_000 }
    this.options = options
    this.session = new Session(url, { WebSocket, backoff, name: options.name }, this)
    let seq = 0
    const nextSeq = () => ++seq
    this.publisher = new Publisher(this.session, options.queueLimit ?? 10_000, nextSeq)
    this.calls = new Calls(this.session, nextSeq)
    this.streams = new StreamAdmin((method, params) => this.call(method, params))
    this.subscriptions = new Subscriptions(this.session)
    options.signal?.addEventListener('abort', this.abort, { once: true })
    this.session.open()
    // The event of a signal that was aborted before never comes.
    if (options.signal?.aborted) this.abort()
  }

  get state(): State {
    return this.session.state
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
   * Publishes, and resolves with the hub's receipt. Awaiting it is the backpressure: the hub grants a window of
   * unacknowledged publishes, and what exceeds it waits here, as it does while offline.
   *
   * `data` is anything that JSON can say, or bytes (`Uint8Array`, `ArrayBuffer`).
   *
   * What a stream captures is kept when the receipt comes, and a publish that had no answer when the connection was
   * lost is repeated under its id: it is kept once.
   *
   * Rejects with `bad_topic`, `reserved_topic`, `queue_full`, `frame_too_large`, `storage_full`, `storage_failed`,
   * `connection_lost` (it may have happened or not, and no stream captures the topic), `client_closed`.
   */
  publish<Topic extends keyof Topics & string>(
    topic: Topic,
    data: Topics[Topic],
    options: PublishOptions = {},
  ): Promise<Receipt> {
    return this.publisher.publish(topic, data, options)
  }

  /** Subscribes to a topic or pattern, to be read with `for await`. Throws `bad_pattern`, `client_closed`. */
  subscribe<Pattern extends string>(
    pattern: Pattern,
    options?: SubscribeOptions,
  ): Subscription<Payload<Topics, Pattern>>
  /** Subscribes, and calls `handler` with each message. */
  subscribe<Pattern extends string>(
    pattern: Pattern,
    handler: Handler<Payload<Topics, Pattern>>,
    options?: SubscribeOptions,
  ): Subscription<Payload<Topics, Pattern>>
  subscribe<Pattern extends string>(
    pattern: Pattern,
    second: SubscribeOptions | Handler<Payload<Topics, Pattern>> = {},
    third: SubscribeOptions = {},
  ): Subscription<Payload<Topics, Pattern>> {
    if (this.state === 'closed') throw new FanfareError('client_closed')
    return typeof second === 'function'
      ? this.subscriptions.add(pattern, third, second)
      : this.subscriptions.add(pattern, second, undefined)
  }

  /**
   * Asks the hub for one of its methods; PROTOCOL.md lists them. Waits for the connection. Rejects with what the method
   * refuses, `unknown_method`, `bad_params`, and `connection_lost`, when it may have happened or not.
   */
  async call(method: string, params?: unknown, options: { signal?: AbortSignal } = {}): Promise<unknown> {
    await this.ready(options)
    return this.calls.call(method, params)
  }

  /** Waits for publishes that are under way, for five seconds at most, and closes for good. */
  close(): Promise<void> {
    // One close for all callers: a signal and a `finally` often ask for it both.
    this.closing ??= this.finish()
    return this.closing
  }

  /** @internal */
  opened(): void {
    this.subscriptions.subscribeAll()
  }

  /** @internal */
  welcomed({ window }: WelcomeFrame): void {
    this.publisher.welcomed(window)
  }

  /** @internal */
  received(frame: Frame, only: number | undefined): void {
    switch (frame.type) {
      case 'message':
        return this.subscriptions.message(frame, only)
      case 'receipt':
        return this.publisher.receipt(frame)
      case 'gap':
        return this.subscriptions.gap(frame)
      case 'result':
        return this.calls.result(frame)
      case 'subscribed':
        return this.subscriptions.subscribed(frame)
      case 'behind':
      case 'live':
        return this.subscriptions.fed(frame)
      case 'committed':
        return this.subscriptions.committed(frame)
      case 'unsubscribed':
      case 'paused':
      case 'resumed':
        return this.subscriptions.answered(frame)
      case 'error':
        return this.refused(frame)
    }
  }

  /** @internal */
  lost(): void {
    this.publisher.lost()
    this.calls.lost()
    this.subscriptions.lost()
  }

  /** @internal */
  ended(error: FanfareError | undefined): void {
    this.options.signal?.removeEventListener('abort', this.abort)
    this.publisher.ended(error ?? new FanfareError('client_closed'))
    this.subscriptions.ended(error)
    this.stateListeners.clear()
  }

  /** @internal */
  changed(change: StateChange): void {
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

  private async finish(): Promise<void> {
    if (this.state === 'connected') {
      const stored = this.subscriptions.commitAll()
      this.session.writer.flush()
      let timer: ReturnType<typeof setTimeout> | undefined
      const grace = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, CLOSE_GRACE_MS)
      })
      await Promise.race([Promise.all([this.publisher.idle(), stored]), grace])
      clearTimeout(timer)
    }
    await this.session.close()
  }

  private refused(frame: ErrorFrame): void {
    if (frame.seq !== undefined) {
      if (!this.calls.refused(frame)) this.publisher.refused(frame)
    } else this.subscriptions.refused(frame)
  }
}
