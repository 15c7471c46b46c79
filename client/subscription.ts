import type { Clock } from '../shared/clock.ts'
import type { FanfareError } from '../shared/errors.ts'
import type { FeedFrame, GapFrame, SubscribedFrame, SubscribeFrame } from '../shared/frames.ts'
import { passesFilter } from '../shared/header-filter.ts'
import type { Last } from '../shared/streams.ts'
import { matchesPattern, parsePattern } from '../shared/topic.ts'
import { Cursor } from './cursor.ts'
import { Deferred } from './deferred.ts'
import { type Delivery, Inbox, type Item } from './inbox.ts'
import type { Gap, Message } from './message.ts'
import type { Handler, SubscribeOptions } from './subscribe-options.ts'
import { throwLater } from './throw-later.ts'

/** What a subscription asks of the client. */
export interface SubscriptionHost {
  readonly clock: Clock
  write(frame: string): void
  /** It has ended: forget it, and tell the hub. Resolves when the hub has answered. */
  ended(subscription: Subscription): Promise<void>
}

/**
 * A subscription. Read it with `for await`, once, or give a handler to `subscribe`.
 *
 * Its buffer pushes back: when it is full, the hub is asked to hold this subscription's messages, under its policy.
 */
export class Subscription<Data = unknown> implements AsyncIterable<Message<Data>> {
  readonly pattern: string
  /** Resolves once the hub delivers, or the subscription is ended; rejects when it refuses. */
  readonly ready: Promise<void>
  /** @internal */
  readonly sub: number
  private readonly words: readonly string[]
  private readonly options: SubscribeOptions
  private readonly inbox: Inbox
  private readonly handler: Handler<unknown> | undefined
  private readonly host: SubscriptionHost
  private readonly settleReady = new Deferred()
  private ending: Promise<void> | undefined
  private readonly abort = () => void this.unsubscribe()
  private state: 'new' | 'live' | 'cut' | 'ended' = 'new'
  /** Between the hub and this buffer: who has asked, and who has answered. */
  private flow: 'open' | 'pausing' | 'paused' | 'resuming' = 'open'
  /** Of a stream: what has arrived here, and whether the shared messages are for this subscription. */
  private stream: string | undefined
  private position: { epoch: string; offset: number } | undefined
  private newest: { epoch: string; offset: number } | undefined
  private joined = false
  /** From this offset on everything comes, also where the start was with the last ones. */
  private wholeFrom = 0
  private readonly cursor: Cursor | undefined
  private failure: FanfareError | undefined
  private handling = false
  private iterated = false
  private wake: (() => void) | undefined

  /** @internal */
  constructor(
    pattern: string,
    sub: number,
    options: SubscribeOptions,
    handler: Handler<Data> | undefined,
    host: SubscriptionHost,
  ) {
    this.pattern = pattern
    this.words = parsePattern(pattern)
    this.sub = sub
    this.options = options
    this.inbox = new Inbox(options.bufferLimit ?? 1000, options.policy === 'conflate')
    this.handler = handler as Handler<unknown> | undefined
    this.host = host
    if (options.cursor !== undefined) {
      this.cursor = new Cursor((offset) => {
        if (this.state === 'live') host.write(JSON.stringify({ type: 'commit', sub, offset }))
      }, host.clock)
    }
    this.ready = this.settleReady.promise
    // An iterator throws the refusal itself; with a handler an unheard refusal has to be loud.
    if (!handler) this.ready.catch(() => {})
    options.signal?.addEventListener('abort', this.abort, { once: true })
  }

  /**
   * Stores now what has been handled under the cursor's name; resolves when it is stored. Rejects with `storage_full`,
   * `storage_failed`, and `connection_lost`, where it may have happened or not. Without a cursor it does nothing.
   */
  async commit(): Promise<void> {
    await this.cursor?.commit()
  }

  /**
   * Ends it: nothing more is delivered, what waits is discarded. Resolves when the hub has ended it too. All calls return the same
   * promise.
   */
  unsubscribe(): Promise<void> {
    this.ending ??= this.endByHand()
    return this.ending
  }

  private async endByHand(): Promise<void> {
    if (this.state === 'ended') return
    if (this.cursor && this.state === 'live') await this.commit().catch(() => {})
    this.end(undefined)
    await this.host.ended(this)
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Message<Data>> {
    if (this.handler || this.iterated) throw new TypeError('A subscription can be read once, by one reader')
    this.iterated = true
    try {
      for (;;) {
        const item = this.shift()
        if (item) {
          if ('message' in item) {
            yield item.message as Message<Data>
            this.handled(item)
          } else this.options.onGap?.(item.gap)
        } else if (this.state === 'ended') {
          if (this.failure) throw this.failure
          return
        } else {
          await new Promise<void>((resolve) => {
            this.wake = resolve
          })
        }
      }
    } finally {
      const ended = this.unsubscribe()
      // A signal may have begun the end while the last message was being handled, and that commit is without it.
      if (this.cursor && this.state === 'live') await this.commit().catch(() => {})
      await ended
    }
  }

  /** @internal */
  get frame(): SubscribeFrame {
    const { policy, filter, stream, cursor } = this.options
    const { sub, pattern } = this
    const reached = this.position ?? this.amongLast
    const from = reached ?? this.options.from
    return {
      type: 'subscribe',
      sub,
      pattern,
      ...(policy && { policy }),
      ...(filter && { filter }),
      ...(stream !== undefined && { stream }),
      ...(from !== undefined && { from }),
      ...(cursor !== undefined && { cursor, ...(reached && { resumes: true }) }),
    }
  }

  /** Where it goes on after a cut in the middle of the last messages of each topic. */
  private get amongLast(): Last | undefined {
    const { from } = this.options
    if (typeof from !== 'object' || !('last' in from) || !this.newest) return undefined
    const { epoch, offset } = this.newest
    return { last: from.last, before: this.wholeFrom, epoch, ...(offset >= 0 && { offset: offset + 1 }) }
  }

  /** @internal */
  matches(topic: readonly string[]): boolean {
    return matchesPattern(this.words, topic)
  }

  /** @internal Whether a message that is for all is for this one too, in the state that it is in. */
  wants(message: Message): boolean {
    if (this.state !== 'live') return false
    if (this.stream === undefined) {
      if (this.flow === 'paused' || this.flow === 'resuming') return false
    } else if (!this.joined || message.offsets?.[this.stream] === undefined) return false
    return this.options.filter === undefined || passesFilter(this.options.filter, message.headers)
  }

  /** @internal */
  deliver(message: Message): void {
    if (this.state !== 'live' || this.hadBefore(message)) return
    const delivery = { message, log: this.newest }
    if (this.handler && !this.handling && this.inbox.size === 0) this.handle(this.handler, delivery)
    else this.push(delivery)
  }

  /** @internal The hub left something out. */
  gap({ count, from, to, offsets, reason }: GapFrame): void {
    if (this.state !== 'live') return
    if (offsets) this.reach(offsets.to)
    if (reason === 'epoch' && this.newest) this.startLog(this.newest.epoch)
    this.push({ gap: { count, from, to, offsets, reason } })
  }

  /** @internal */
  subscribed({ stream, epoch, offset, recovered = false }: SubscribedFrame): void {
    if (this.state === 'ended') return
    const again = this.state === 'cut'
    this.state = 'live'
    this.stream = stream
    this.joined = false
    const startsWithLast = typeof this.options.from === 'object' && 'last' in this.options.from
    if (epoch !== undefined && offset !== undefined) {
      // With `last`, what comes first lies before: until then the start has to be repeated after a cut.
      if (this.position || !startsWithLast) this.position = { epoch, offset }
      this.wholeFrom = offset
    }
    if (epoch !== undefined && this.newest?.epoch !== epoch) {
      this.startLog(epoch)
    }
    if (again) this.resubscribed(recovered)
    this.settleReady.resolve()
    this.cursor?.again()
    this.control()
  }

  /** @internal */
  fed({ type, offset }: FeedFrame): void {
    this.joined = type === 'live'
    if (this.newest) this.position = { epoch: this.newest.epoch, offset }
  }

  /** @internal */
  committed(offset: number): void {
    this.cursor?.committed(offset)
  }

  /** @internal */
  commitRefused(error: FanfareError): void {
    this.cursor?.refused(error)
  }

  /** @internal An answer of the hub to one of this subscription's requests. */
  answered(type: 'paused' | 'resumed'): void {
    if (this.state === 'ended') return
    this.flow = type === 'paused' ? 'paused' : 'open'
    this.control()
  }

  /** @internal The connection is gone. */
  lost(): void {
    if (this.state === 'live') this.state = 'cut'
    this.flow = 'open'
  }

  /** @internal */
  end(failure: FanfareError | undefined): void {
    if (this.state === 'ended') return
    this.state = 'ended'
    this.failure = failure
    this.cursor?.end()
    this.options.signal?.removeEventListener('abort', this.abort)
    if (failure) this.settleReady.reject(failure)
    else {
      this.inbox.clear()
      this.settleReady.resolve()
    }
    this.wake?.()
  }

  /** Also where a start had to be repeated, each message comes once. */
  private hadBefore({ offsets }: Message): boolean {
    const offset = this.stream === undefined ? undefined : offsets?.[this.stream]
    if (offset === undefined || !this.newest) return false
    if (offset <= this.newest.offset) return true
    this.reach(offset)
    return false
  }

  /** Nothing up to this offset comes any more. */
  private reach(offset: number): void {
    if (!this.newest || offset <= this.newest.offset) return
    this.newest.offset = offset
    if (this.position || offset >= this.wholeFrom) this.position = { epoch: this.newest.epoch, offset: offset + 1 }
  }

  private handled(delivery: Delivery): void {
    const offset = this.offsetOf(delivery)
    if (offset !== undefined) this.cursor?.advance(offset + 1)
  }

  /** A cursor is one place: what is behind a message that failed cannot count as handled without it. */
  private failed(delivery: Delivery, error: unknown): void {
    if (this.offsetOf(delivery) !== undefined) this.cursor?.stop()
    throwLater(error)
  }

  /** What came of the log before means nothing in this one: offsets begin again, also under an epoch that stayed. */
  private startLog(epoch: string): void {
    this.newest = { epoch, offset: -1 }
    this.cursor?.reset()
  }

  /** In the log that the stream has now. */
  private offsetOf({ message, log }: Delivery): number | undefined {
    if (this.stream === undefined || log !== this.newest) return undefined
    return message.offsets?.[this.stream]
  }

  private resubscribed(recovered: boolean): void {
    if (this.stream === undefined) this.push({ gap: { count: undefined, reason: 'disconnected' } })
    try {
      this.options.onResubscribed?.({ recovered })
    } catch (error) {
      throwLater(error)
    }
  }

  private push(item: Item): void {
    this.inbox.push(item)
    this.control()
    if (this.handler) {
      if (!this.handling) this.handleWaiting(this.handler)
    } else {
      this.wake?.()
    }
  }

  private shift(): Item | undefined {
    const item = this.inbox.shift()
    if (item) this.control()
    return item
  }

  private handleWaiting(handler: Handler<unknown>): void {
    while (!this.handling) {
      const item = this.shift()
      if (!item) return
      if ('gap' in item) this.tell(item.gap)
      else this.handle(handler, item)
    }
  }

  private tell(gap: Gap): void {
    try {
      this.options.onGap?.(gap)
    } catch (error) {
      throwLater(error)
    }
  }

  private handle(handler: Handler<unknown>, delivery: Delivery): void {
    let result: void | Promise<void>
    try {
      result = handler(delivery.message)
    } catch (error) {
      this.failed(delivery, error)
      return
    }
    if (!(result instanceof Promise)) {
      this.handled(delivery)
      return
    }
    this.handling = true
    const settled = result.then(
      () => this.handled(delivery),
      (error: unknown) => this.failed(delivery, error),
    )
    void settled.then(() => {
      this.handling = false
      this.handleWaiting(handler)
    })
  }

  /** Asks the hub to pause when the buffer is full, to resume when a quarter is left; one request at a time. */
  private control(): void {
    if (this.state !== 'live') return
    if (this.flow === 'open' && this.inbox.isFull) {
      this.flow = 'pausing'
      this.host.write(JSON.stringify({ type: 'pause', sub: this.sub }))
    } else if (this.flow === 'paused' && this.inbox.hasRoom) {
      this.flow = 'resuming'
      this.host.write(JSON.stringify({ type: 'resume', sub: this.sub }))
    }
  }
}
