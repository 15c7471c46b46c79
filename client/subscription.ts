import type { FanfareError } from '../shared/fanfare-error.ts'
import type { ErrorFrame, GapFrame, SubscribedFrame, SubscribeFrame } from '../shared/frames.ts'
import { passesFilter } from '../shared/header-filter.ts'
import type { LastCount } from '../shared/streams.ts'
import { matchesPattern, patternWords } from '../shared/topic.ts'
import type { Asked, Asking, NumberedFrame } from './asking.ts'
import { Cursor } from './cursor.ts'
import { Handling } from './handling.ts'
import { type Delivery, Inbox, type Item } from './inbox.ts'
import type { Message } from './message.ts'
import { Reader } from './reader.ts'
import type { Session } from './session.ts'
import { Standing } from './standing.ts'
import type { MessageHandler, SubscribeOptions } from './subscribe-options.ts'
import { callBack, throwLater } from './throw-later.ts'
import { within } from './within.ts'

/** Longest time that the last commit may take before a subscription ends without its answer, in milliseconds. */
const LAST_COMMIT_MS = 1_000

/** What a subscription needs from the client. */
export interface SubscriptionHost {
  readonly asking: Asking
  /** It has ended. */
  forget(subscription: Subscription): void
}

/**
 * A subscription. Read it with `for await`, once, or give a handler to `subscribe`.
 *
 * Its buffer pushes back: when it is full, the hub is asked to hold this subscription's messages, under its policy.
 */
export class Subscription<Data = unknown> implements AsyncIterable<Message<Data>>, Asked {
  readonly pattern: string
  /** @internal */
  readonly number: number
  /** @internal */
  readonly standing: Standing
  readonly #options: SubscribeOptions
  readonly #host: SubscriptionHost
  readonly #words: readonly string[]
  readonly #inbox: Inbox
  readonly #handling: Handling | undefined
  readonly #session: Session
  #ending: Promise<void> | undefined
  #state: 'new' | 'live' | 'cut' | 'ended' = 'new'
  /** Flow control between the hub and this buffer: what was asked for, and what was confirmed. */
  #flow: 'open' | 'pausing' | 'paused' | 'resuming' = 'open'
  /** Only on a stream: the position that has been reached, and whether the shared messages are for this subscription. */
  #stream: string | undefined
  #position: { epoch: string; offset: number } | undefined
  #newest: { epoch: string; offset: number } | undefined
  #joined = false
  /** From this offset on every message is delivered, also if the subscription started with the last ones. */
  #wholeFrom = 0
  readonly #cursor: Cursor | undefined
  #reader: Reader<Message> | undefined
  /** The message that the reader got last, and may still be handling. */
  #read: Delivery | undefined

  /** @internal */
  constructor(
    pattern: string,
    options: SubscribeOptions,
    handler: MessageHandler<Data> | undefined,
    host: SubscriptionHost,
  ) {
    this.pattern = pattern
    this.#words = patternWords(pattern)
    this.#options = options
    this.#inbox = new Inbox(options.bufferLimit ?? 1000, options.policy === 'conflate')
    this.#host = host
    const { session } = host.asking
    this.#session = session
    this.number = session.nextNumber()
    this.#handling =
      handler &&
      new Handling(handler as MessageHandler<unknown>, options, session, {
        shift: () => this.#shift(),
        handled: (delivery) => this.#handled(delivery),
        broken: (error) => this.#broken(error),
      })
    this.standing = new Standing(options, !handler)
    if (options.cursor !== undefined) {
      this.#cursor = new Cursor((offset) => {
        if (this.#state === 'live') session.say({ type: 'commit', sub: this.number, offset })
      }, session.clock)
    }
  }

  /**
   * Resolves once the hub delivers, or the subscription is ended. Rejects when the hub refuses it for good. While a refusal may pass,
   * the client keeps trying, and this waits.
   */
  get ready(): Promise<void> {
    return this.standing.ready
  }

  /**
   * Resolves when it was ended by `unsubscribe`, its signal, the end of a loop or `client.close()`. Rejects with the error that ended
   * it otherwise. If nothing else listens (`onError`, a loop, `ready` before it resolved), the error is also an uncaught exception.
   *
   * @example
   * ```ts
   * const orders = client.subscribe('orders.#', show, { onError: console.error })
   * orders.ended.catch(({ code }) => showBanner(`No more orders: ${code}`))
   * ```
   */
  get ended(): Promise<void> {
    return this.standing.ended
  }

  /**
   * Commits the position of the last handled message under the cursor's name at once. Resolves when it is stored. Rejects with `storage_full`
   * and `storage_failed`, and with `request_timeout` (after 30 seconds, also without a connection) and `connection_lost`, after which it may or
   * may not have happened. Without a cursor it does nothing.
   */
  async commit(): Promise<void> {
    await this.#cursor?.commit()
  }

  /**
   * Ends the subscription: commits what was handled, delivers nothing more, and discards what waits. Resolves when the hub has ended it too.
   * All calls return the same promise.
   */
  unsubscribe(): Promise<void> {
    this.#ending ??= this.#endByHand()
    return this.#ending
  }

  /** The same as `unsubscribe()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.unsubscribe()
  }

  async #endByHand(): Promise<void> {
    if (this.#state === 'ended') return
    // At once: messages that have arrived in the same turn are no longer handled.
    this.#handling?.stop()
    if (this.#cursor) await this.#lastCommit()
    this.end()
    await this.#host.asking.withdraw(this)
  }

  /** Commits what has been handled, if that can be done in time. */
  async #lastCommit(): Promise<void> {
    if (!this.#cursor || this.#state !== 'live') return
    await within(this.#session.clock, LAST_COMMIT_MS, this.#cursor.commit())
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Message<Data>> {
    if (this.#handling || this.#reader) return new Reader(refuse, () => Promise.resolve())
    this.#reader = new Reader(
      () => this.#take(),
      async () => {
        const ended = this.unsubscribe()
        // A signal may have begun the end while the last message was being handled, and that commit is without it.
        await this.#lastCommit()
        await ended
      },
    )
    return this.#reader as Reader<Message<Data>>
  }

  #take(): IteratorResult<Message, undefined> | undefined {
    if (this.#read) this.#handled(this.#read)
    this.#read = undefined
    for (let item = this.#shift(); item; item = this.#shift()) {
      if (item.message) {
        this.#read = item
        return { value: item.message, done: false }
      }
      const { gap } = item
      callBack(() => this.#options.onGap?.(gap))
    }
    return this.#state === 'ended' ? this.standing.last() : undefined
  }

  /** @internal */
  get frame(): SubscribeFrame {
    const { policy, filter, stream, cursor } = this.#options
    const { number: sub, pattern } = this
    const reached = this.#position ?? this.#amongLast
    const from = reached ?? this.#options.from
    const resumes = cursor !== undefined && reached ? true : undefined
    // JSON leaves undefined fields out.
    return { type: 'subscribe', sub, pattern, policy, filter, stream, from, cursor, resumes } as SubscribeFrame
  }

  /** Where it continues after the connection was lost in the middle of the last messages of each topic. */
  get #amongLast(): LastCount | undefined {
    const last = this.#startsWithLast
    if (last === undefined || !this.#newest) return undefined
    const { epoch, offset } = this.#newest
    return { last, before: this.#wholeFrom, epoch, ...(offset >= 0 && { offset: offset + 1 }) }
  }

  /** How many of each topic it starts with, if it does. */
  get #startsWithLast(): number | undefined {
    const { from } = this.#options
    return typeof from === 'object' && 'last' in from ? from.last : undefined
  }

  /** @internal */
  matches(topic: readonly string[]): boolean {
    return matchesPattern(this.#words, topic)
  }

  /** @internal Whether a shared message is for this subscription too, in its current state. */
  wants(message: Message): boolean {
    if (this.#state !== 'live') return false
    if (this.#stream === undefined) {
      if (this.#flow === 'paused' || this.#flow === 'resuming') return false
    } else if (!this.#joined || this.#offsetIn(message) === undefined) return false
    return this.#options.filter === undefined || passesFilter(this.#options.filter, message.headers)
  }

  /** @internal */
  deliver(message: Message): void {
    if (this.#state !== 'live' || this.#hadBefore(message)) return
    const delivery = { message, log: this.#newest }
    if (this.#inbox.size > 0 || !this.#handling?.takes(delivery)) this.#push(delivery)
  }

  /** @internal */
  received(frame: NumberedFrame): void {
    switch (frame.type) {
      case 'subscribed':
        return this.#subscribed(frame)
      case 'gap':
        return this.#gap(frame)
      case 'behind':
      case 'live':
        this.#joined = frame.type === 'live'
        if (this.#newest) this.#position = { epoch: this.#newest.epoch, offset: frame.offset }
        return
      case 'committed':
        return this.#cursor?.committed(frame.offset)
      case 'paused':
      case 'resumed':
        this.#flow = frame.type === 'paused' ? 'paused' : 'open'
        this.#control()
    }
  }

  /** The hub has left messages out. */
  #gap({ type: _, sub: __, ...gap }: GapFrame): void {
    const { offsets, reason } = gap
    if (this.#state !== 'live') return
    if (offsets) this.#reach(offsets.to)
    if (reason === 'epoch' && this.#newest) this.#startLog(this.#newest.epoch)
    this.#push({ gap: { count: undefined, ...gap } })
  }

  #subscribed({ stream, epoch, offset, recovered = false }: SubscribedFrame): void {
    if (this.#state === 'ended') return
    const again = this.#state === 'cut'
    this.#state = 'live'
    this.#stream = stream
    this.#joined = false
    if (epoch !== undefined && offset !== undefined) {
      // With `last`, the first messages are from before this offset: until it is reached, a new connection has to repeat the start.
      if (this.#position || this.#startsWithLast === undefined) this.#position = { epoch, offset }
      this.#wholeFrom = offset
    }
    if (epoch !== undefined && this.#newest?.epoch !== epoch) this.#startLog(epoch)
    if (again) this.#resubscribed(recovered)
    this.#cursor?.again()
    this.#control()
  }

  /** @internal The hub has refused a commit. */
  refused(_: ErrorFrame, error: FanfareError): void {
    this.#cursor?.refused(error)
  }

  /** @internal Stores the position of its cursor. */
  finish(): Promise<void> {
    return this.commit()
  }

  /** @internal */
  lost(): void {
    if (this.#state === 'live') this.#state = 'cut'
    this.#flow = 'open'
  }

  /** @internal */
  end(error?: FanfareError): boolean {
    if (this.#state === 'ended') return true
    if (!error) this.#inbox.clear()
    this.#state = 'ended'
    const isTold = this.standing.over(error)
    this.#cursor?.end()
    this.#handling?.stop()
    this.#reader?.wake()
    this.#host.forget(this)
    return isTold
  }

  /** Each message is delivered once, also if a start had to be repeated. */
  #hadBefore(message: Message): boolean {
    const offset = this.#offsetIn(message)
    if (offset === undefined || !this.#newest) return false
    if (offset <= this.#newest.offset) return true
    this.#reach(offset)
    return false
  }

  /** No more messages up to this offset follow. */
  #reach(offset: number): void {
    if (!this.#newest || offset <= this.#newest.offset) return
    this.#newest.offset = offset
    if (this.#position || offset >= this.#wholeFrom) this.#position = { epoch: this.#newest.epoch, offset: offset + 1 }
  }

  #handled({ message, log }: Delivery): void {
    // A position of another log means nothing in this one.
    const offset = log === this.#newest ? this.#offsetIn(message) : undefined
    if (offset !== undefined && this.#state !== 'ended') this.#cursor?.advance(offset + 1)
  }

  /** A cursor is a single position: messages after a failed one cannot count as handled without it. */
  #broken(error: unknown): boolean {
    if (this.#cursor) void this.#breakOff(error)
    else throwLater(error)
    return !this.#cursor
  }

  async #breakOff(error: unknown): Promise<void> {
    await this.#lastCommit()
    throwLater(error)
    // First, or it would look like an end by its owner.
    this.standing.fail(error)
    this.end()
    this.#ending ??= this.#host.asking.withdraw(this)
  }

  /** Positions of the previous log mean nothing in this one: offsets begin again, even if the epoch is the same. */
  #startLog(epoch: string): void {
    this.#newest = { epoch, offset: -1 }
    this.#cursor?.reset()
  }

  #offsetIn({ offsets }: Message): number | undefined {
    return this.#stream === undefined ? undefined : offsets?.[this.#stream]
  }

  #resubscribed(recovered: boolean): void {
    if (this.#stream === undefined) this.#push({ gap: { count: undefined, reason: 'disconnected' } })
    callBack(() => this.#options.onResubscribed?.({ recovered }))
  }

  #push(item: Item): void {
    this.#inbox.push(item)
    this.#control()
    this.#handling?.pump()
    this.#reader?.wake()
  }

  #shift(): Item | undefined {
    const item = this.#inbox.shift()
    if (item) this.#control()
    return item
  }

  /** Asks the hub to pause when the buffer is full, and to resume when a quarter is left. One request at a time. */
  #control(): void {
    if (this.#state !== 'live') return
    if (this.#flow === 'open' && this.#inbox.isFull) {
      this.#flow = 'pausing'
      this.#session.say({ type: 'pause', sub: this.number })
    } else if (this.#flow === 'paused' && this.#inbox.hasRoom) {
      this.#flow = 'resuming'
      this.#session.say({ type: 'resume', sub: this.number })
    }
  }
}

function refuse(): never {
  throw new TypeError('A subscription can be read once, by one reader, and not if it has a handler.')
}
