import { setImmediate } from 'node:timers'
import { FanfareError } from '../../shared/errors.ts'
import type { AskFrame, CommitFrame, Frame } from '../../shared/frames.ts'
import type { ConnectionInfo } from '../../shared/sys.ts'
import { withNearest } from '../admin/nearest.ts'
import type { Access } from '../auth/access.ts'
import type { UnexpectedErrors } from '../failure/unexpected-errors.ts'
import { exceeded } from '../limit/limits.ts'
import { Rate } from '../limit/rate.ts'
import type { Traffic } from '../monitor/traffic.ts'
import type { Streams } from '../stream/streams.ts'
import type { Subscription } from '../topic/subscription.ts'
import { type CallParts, Calls, type ConnectionName } from './calls.ts'
import { type ConsumerParts, Consumers } from './consumers.ts'
import type { Outbox } from './outbox.ts'
import { permit } from './permit.ts'
import { Publishes, type PublishParts } from './publishes.ts'
import { nameIn } from './refusal.ts'
import { type RequestParts, Requests } from './requests.ts'
import { type SubscriptionParts, Subscriptions, unknownSubscription } from './subscriptions.ts'

/** What the dispatches of all connections share: the parts, and what they use directly. */
export interface DispatchParts {
  readonly publishes: PublishParts
  readonly subscriptions: SubscriptionParts
  readonly consumers: ConsumerParts
  readonly requests: RequestParts
  readonly calls: CallParts
  readonly streams: Streams
  readonly traffic: Traffic
  readonly unexpected: UnexpectedErrors
  /** 0 for no limit. */
  readonly subscribesPerSecond: number
}

/** What a connection's dispatch contributes to the connection's info. */
export type DispatchInfo = Pick<
  ConnectionInfo,
  'publishedTotal' | 'subscriptionCount' | 'subscriptions' | 'consumerCount' | 'consumers'
>

/** Passes the frames of one client to the parts that handle them, if they are permitted. */
export class Dispatch {
  private readonly parts: DispatchParts
  private readonly connection: ConnectionName
  private readonly outbox: Outbox
  private readonly refuse: (error: unknown, about: unknown) => void
  /** Created with the first publish, because it would be most of the cost of an idle connection. */
  private publishes: Publishes | undefined = undefined
  private subscriptions: Subscriptions | undefined = undefined
  private consumers: Consumers | undefined = undefined
  private requests: Requests | undefined = undefined
  private calls: Calls | undefined = undefined
  private subscribes: Rate | undefined = undefined
  private pongWaits = false
  private released = false

  constructor(
    parts: DispatchParts,
    connection: ConnectionName,
    outbox: Outbox,
    refuse: (error: unknown, about: unknown) => void,
  ) {
    this.parts = parts
    this.connection = connection
    this.outbox = outbox
    this.refuse = refuse
  }

  /** Throws the refusal, or reports it later. */
  handle(frame: Frame, access: Access): void {
    if (!access.unrestricted) permit(access, frame, this.parts.streams)
    switch (frame.type) {
      case 'publish':
        return this.publishing().publish(frame, access.publisher)
      case 'subscribe':
        this.takeSubscribe()
        if (this.requests?.offers(frame.sub)) throw inUse(frame.sub)
        this.subscriptions ??= new Subscriptions(this.parts.subscriptions, this.outbox)
        return this.subscriptions.subscribe(frame)
      case 'unsubscribe':
        if (this.requests?.withdraw(frame.sub, frame.finish)) return
        return this.subscribed(frame.sub).unsubscribe(frame.sub)
      case 'pause':
        return this.subscribed(frame.sub).pause(frame.sub)
      case 'resume':
        return this.subscribed(frame.sub).resume(frame.sub)
      case 'commit':
        return this.commit(frame, access)
      case 'consume':
        this.takeSubscribe()
        this.consumers ??= new Consumers(this.parts.consumers, this.connection.id, this, this.outbox, this.refuse)
        return this.consumers.consume(frame)
      case 'begin':
        return this.consumers?.begin(frame)
      case 'return':
        return this.consumers?.return(frame)
      case 'stop':
        return this.consumers?.stop(frame.consumer)
      case 'cancel':
        return this.consuming(frame.consumer).cancel(frame.consumer)
      case 'ack':
      case 'nack':
      case 'reject':
        return this.consuming(frame.consumer).settle(frame, access.publisher)
      case 'extend':
        return this.consuming(frame.consumer).extend(frame)
      case 'respond':
        this.takeSubscribe()
        if (this.subscriptions?.has(frame.sub)) throw inUse(frame.sub)
        return this.requestReply().respond(frame)
      case 'ask':
        return this.ask(frame)
      case 'reply':
        return this.requestReply().reply(frame)
      case 'call':
        this.calls ??= new Calls(this.parts.calls, this.connection, this.outbox, this.refuse)
        return this.calls.call(frame, access)
      case 'ping':
        return this.pong()
      default:
        throw new FanfareError('unknown_frame', `Frames of type "${frame.type}" go from the hub to a client.`)
    }
  }

  /** A refusal with what is worth its work only if the client reads it: the name that it probably meant. */
  detailed(error: FanfareError, about: unknown, access: Access): FanfareError {
    const { streams, consumers } = this.parts
    return withNearest(error, { name: nameIn(about) }, { queues: consumers.queues, streams }, access)
  }

  /** Ends what is no longer permitted. */
  recheck(access: Access): void {
    if (access.unrestricted) return
    const check = (frame: Frame) => permit(access, frame, this.parts.streams)
    this.subscriptions?.recheck(check, this.refuse)
    this.consumers?.recheck(check)
    this.requests?.recheck(check, this.refuse)
  }

  /** Ends a subscription whose client has already been notified. */
  drop(subscription: Subscription): void {
    this.subscriptions?.drop(subscription)
  }

  /** Takes no more messages from queues, and returns leased ones without a charge, because the client did not fail. */
  stopConsuming(): void {
    this.consumers?.release(false)
  }

  /** Gives the client no new work. Returns true if it has no open work, or the connection has ended. May be called again. */
  windDown(): boolean {
    const { publishes, requests, consumers, calls } = this
    this.parts.unexpected.run('connection', () => requests?.windDown())
    this.parts.unexpected.run('connection', () => consumers?.windDown())
    const isBusy = publishes?.isWaiting || requests?.isBusy || consumers?.areBusy || calls?.areWaiting
    return this.released || !isBusy
  }

  /** Releases everything, because the connection has ended. */
  release(): void {
    this.released = true
    const { unexpected } = this.parts
    const { subscriptions, consumers, requests, publishes } = this
    this.subscriptions = this.consumers = this.requests = undefined
    // Separately, so that a bug in one does not leave the others in the hub's tables.
    unexpected.run('connection', () => subscriptions?.release())
    unexpected.run('connection', () => consumers?.release(true))
    unexpected.run('connection', () => requests?.release())
    unexpected.run('connection', () => publishes?.release())
    this.calls?.release()
  }

  get publishedTotal(): number {
    return this.publishes?.total ?? 0
  }

  get subscriptionCount(): number {
    return this.subscriptions?.count ?? 0
  }

  get consumerCount(): number {
    return this.consumers?.count ?? 0
  }

  /** Whether a text in lower case occurs in one of its patterns, or in the name of a queue that it consumes. */
  mentions(text: string): boolean {
    return (this.subscriptions?.mention(text) || this.consumers?.mention(text)) ?? false
  }

  /** With at most this many of its subscriptions and of its consumers. */
  info(most: number): DispatchInfo {
    const { publishedTotal, subscriptionCount, consumerCount, subscriptions, consumers } = this
    return {
      publishedTotal,
      subscriptionCount,
      subscriptions: subscriptions?.info(most) ?? [],
      consumerCount,
      consumers: consumers?.info(most) ?? [],
    }
  }

  private takeSubscribe(): void {
    const { subscribesPerSecond, subscriptions } = this.parts
    if (subscribesPerSecond === 0) return
    this.subscribes ??= new Rate('subscribesPerSecond', subscribesPerSecond, subscriptions.most)
    if (this.subscribes.take(1)) return
    this.parts.traffic.hit('subscribesPerSecond', {})
    throw new FanfareError('rate_limited', exceeded('subscribesPerSecond'))
  }

  private commit(frame: CommitFrame, access: Access): void {
    this.subscribed(frame.sub)
      .commit(frame, access)
      .catch((error: unknown) => this.refuse(error, frame))
  }

  private ask(frame: AskFrame): void {
    const publishes = this.publishing()
    publishes.take()
    try {
      this.requestReply().ask(frame, () => publishes.receiptsSent(1))
    } catch (error) {
      publishes.receiptsSent(1)
      throw error
    }
  }

  // One pong answers all pings of a turn, as RFC 6455 section 5.5.3 allows for WebSocket pings: a flood of pings costs one flag.
  private pong(): void {
    if (this.pongWaits) return
    this.pongWaits = true
    setImmediate(() => {
      this.pongWaits = false
    })
    this.outbox.send({ type: 'pong' })
  }

  private publishing(): Publishes {
    this.publishes ??= new Publishes(this.parts.publishes, this, this.outbox, this.refuse)
    return this.publishes
  }

  private requestReply(): Requests {
    this.requests ??= new Requests(this.parts.requests, this.outbox, this.refuse)
    return this.requests
  }

  private consuming(consumer: number): Consumers {
    if (!this.consumers)
      throw new FanfareError('unknown_consumer', `The connection has no consumer ${consumer}. Consume first.`)
    return this.consumers
  }

  private subscribed(sub: number): Subscriptions {
    if (!this.subscriptions) throw unknownSubscription(sub)
    return this.subscriptions
  }
}

/** Responders and subscriptions share one number space, otherwise `unsubscribe` could end the wrong one. */
function inUse(sub: number): FanfareError {
  return new FanfareError(
    'subscription_exists',
    `The connection already uses the subscription number ${sub}. Choose another, or unsubscribe first.`,
  )
}
