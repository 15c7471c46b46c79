import { Buffer, isAscii, isUtf8 } from 'node:buffer'
import { setImmediate } from 'node:timers'
import { nanoid } from 'nanoid'
import { decodeBinary, decodeText } from '../../shared/codec.ts'
import { type ErrorCode, errorEntry, FanfareError } from '../../shared/errors.ts'
import {
  type AskFrame,
  type AuthFrame,
  type CallFrame,
  type CommitFrame,
  type Frame,
  type PublishFrame,
  SUBPROTOCOL,
} from '../../shared/frames.ts'
import { parseFrame } from '../../shared/parse-frame.ts'
import type { Position } from '../../shared/streams.ts'
import type { ConnectionInfo } from '../../shared/sys.ts'
import { type Access, ANONYMOUS } from '../auth/access.ts'
import type { EngineSocket, SocketHandlers, UpgradeRequest } from '../engine/engine.ts'
import type { LimitName } from '../limit/limits.ts'
import type { Allowance } from '../limit/message-limits.ts'
import { Rate } from '../limit/rate.ts'
import type { WatchedConnection } from '../monitor/connections.ts'
import type { Outcome } from '../topic/publication.ts'
import type { Subscription } from '../topic/subscription.ts'
import { Consumers } from './consumers.ts'
import type { ConnectionContext, Expiring } from './context.ts'
import { Login } from './login.ts'
import { Outbox, type OutboxOwner } from './outbox.ts'
import { permit } from './permit.ts'
import { Requests } from './requests.ts'
import { Subscriptions } from './subscriptions.ts'

/** One WebSocket of one client: reads its frames, and answers them through its outbox. */
export class Connection implements SocketHandlers, OutboxOwner, WatchedConnection, Expiring {
  readonly id = nanoid(12)
  readonly number: number
  readonly address: string
  private readonly socket: EngineSocket
  private readonly context: ConnectionContext
  private readonly outbox: Outbox
  /** Made when the first one comes: most of what an idle connection would cost. */
  private subscriptions: Subscriptions | undefined = undefined
  private consumers: Consumers | undefined = undefined
  private requests: Requests | undefined = undefined
  /**
   * `new` until the first frame, which stands for a hello where it is none, and it is known who has sent it. `finishing`:
   * what waits is still sent, and nothing is read any more.
   */
  private state: 'new' | 'ready' | 'finishing' | 'ended' = 'new'
  private login: Login | undefined
  private access: Access | undefined = undefined
  /** The same, where there is something to ask: publishes of those who may do everything pay nothing. */
  private restricted: Access | undefined = undefined
  private renewing = false
  /** Undefined where there is no limit: then nothing is counted. */
  private readonly allowance: Allowance | undefined
  private subscribes: Rate | undefined = undefined
  private unacknowledged = 0
  private publishedTotal = 0
  private client: string | undefined = undefined
  private pongWaits = false
  private heard = true
  private readonly since: number

  constructor(socket: EngineSocket, address: string, context: ConnectionContext, who: UpgradeRequest | Access) {
    this.socket = socket
    this.address = address
    this.context = context
    this.allowance = context.limits.forConnection()
    this.login = new Login(who)
    this.since = context.clock.now()
    this.number = ++context.traffic.connectionsTotal
    this.outbox = new Outbox(socket, context, context.config.outboxBytes, this)
  }

  message(data: Uint8Array, binary: boolean): void {
    if (this.state === 'ended' || this.state === 'finishing') return
    this.heard = true
    this.context.traffic.bytesIn += data.length
    try {
      this.login?.arrived(data.length)
      // What is held is read later, and the bytes are the engine's.
      const bytes = this.login ? new Uint8Array(data) : data
      const values = binary ? decodeBinary(bytes) : decodeText(textOf(bytes))
      if (this.allowance) this.handleWithin(this.allowance, values, data.length)
      else for (const value of values) this.handle(value)
    } catch (error) {
      this.refuse(error)
    }
  }

  broken(code: 'frame_too_large' | 'bad_utf8' | 'bad_frame', detail: string): void {
    this.end(new FanfareError(code, detail))
  }

  alive(): void {
    this.heard = true
  }

  drain(): void {
    this.outbox.drain()
    if (this.state === 'finishing') this.finish()
  }

  close(): void {
    this.release()
    this.context.closed(this.id)
  }

  /** Once in every ping interval: ends a connection that is dead or never said anything, and asks the others. */
  heartbeat(): void {
    if (this.state === 'ended') return
    if (this.heard) {
      this.heard = false
      this.socket.ping()
    } else {
      this.end(new FanfareError('idle_timeout'))
    }
  }

  /** Ends a connection that has said nothing in its time. True where it need not be watched any longer. */
  checkHello(now: number): boolean {
    if (this.state !== 'new') return true
    if (now - this.since < this.context.config.helloTimeoutMs) return false
    this.end(new FanfareError(this.login?.waiting ? 'auth_unavailable' : 'hello_timeout'))
    return true
  }

  checkExpiry(now: number): void {
    const expiresAt = this.access?.expiresAt
    if (expiresAt !== undefined && expiresAt <= now && this.state === 'ready')
      this.end(new FanfareError('token_expired'))
  }

  /** Tells the peer why, behind all that it is owed, and closes. */
  end(error: FanfareError): void {
    if (this.state === 'ended') return
    const { code, message } = error
    this.outbox.send({ type: 'error', code, message, retry: error.retry })
    this.outbox.flush()
    this.hangUp(code)
  }

  /** The hub shuts down: ends as soon as the peer has taken all that waits for it. The hub bounds the time. */
  finish(): void {
    if (this.state === 'ended') return
    this.state = 'finishing'
    // What is on lease was not their failure.
    this.consumers?.release(false)
    this.outbox.resumeAll()
    this.outbox.flush()
    if (this.outbox.keepsUp) this.end(new FanfareError('shutting_down'))
  }

  /** Ends at once, whatever is still to be sent. */
  terminate(): void {
    this.release()
    this.socket.terminate()
  }

  get outboxBytes(): number {
    return this.outbox.heldBytes
  }

  get droppedTotal(): number {
    return this.outbox.droppedTotal
  }

  get behindSince(): number | undefined {
    return this.outbox.behindSince
  }

  info(now: number, most: number): ConnectionInfo {
    const { id, number, client, since, outbox, publishedTotal, subscriptions, consumers } = this
    const { heldBytes, behindSince, deliveredTotal, droppedTotal } = outbox
    return {
      connection: id,
      number,
      ...(client !== undefined && { client }),
      address: this.address,
      connectedAt: since,
      outboxBytes: heldBytes,
      outboxLimitBytes: this.context.config.outboxBytes,
      lagMs: behindSince === undefined ? 0 : Math.max(0, now - behindSince),
      deliveredTotal,
      droppedTotal,
      publishedTotal,
      subscriptionCount: subscriptions?.count ?? 0,
      subscriptions: subscriptions?.info(most) ?? [],
      consumerCount: consumers?.count ?? 0,
      consumers: consumers?.info(most) ?? [],
    }
  }

  receiptsSent(count: number): void {
    this.unacknowledged -= count
  }

  feedFailed(subscription: Subscription, error: FanfareError): void {
    if (this.state === 'ended') return
    this.subscriptions?.drop(subscription)
    this.refuse(error, { sub: subscription.sub })
  }

  overflow(code: 'slow_consumer' | 'outbox_total'): void {
    this.outbox.release()
    // Not now: the fan-out that filled the outbox is still reading the index of subscriptions.
    setImmediate(() => this.hangUp(code))
  }

  private handle(value: unknown): void {
    if (this.state === 'ended' || this.state === 'finishing') return
    if (this.login?.waiting) return this.login.hold(value)
    try {
      const frame = parseFrame(value)
      if (this.login) return this.enter(this.login, frame)
      if (frame.type === 'hello') throw new FanfareError('hello_late')
      this.dispatch(frame)
    } catch (error) {
      this.refuse(error, value)
    }
  }

  /** Handles what is within the limits. Whoever has not come in yet has sent no more than is held. */
  private handleWithin(allowance: Allowance, values: readonly unknown[], bytes: number): void {
    const within = allowance.take(values.length, bytes)
    if (allowance.flooding) return this.end(new FanfareError('flooding', `The limit is ${allowance.exceeded}`))
    for (const [at, value] of values.entries()) {
      if (at >= within && !this.login && isNewWork(value)) this.refuseBeyond(allowance.exceeded as LimitName, value)
      else this.handle(value)
    }
  }

  private refuseBeyond(limit: LimitName, value: unknown): void {
    if (this.state !== 'ready') return
    this.context.traffic.limitHits[limit]++
    this.refuse(new FanfareError('rate_limited', `The limit is ${limit}`), value)
  }

  private takeSubscribe(): void {
    const { subscribesPerSecond, subscriptions } = this.context.config
    if (subscribesPerSecond === 0) return
    this.subscribes ??= new Rate('subscribesPerSecond', subscribesPerSecond, subscriptions)
    if (this.subscribes.take(1)) return
    this.context.traffic.limitHits.subscribesPerSecond++
    throw new FanfareError('rate_limited', 'The limit is subscribesPerSecond')
  }

  /** The first frame: whose is it? */
  private enter(login: Login, frame: Frame): void {
    const refused = (error: unknown) => this.end(this.known(error))
    try {
      const access = login.start(this.context.authenticator, frame.type === 'hello' ? frame.token : undefined)
      if (access instanceof Promise) access.then((known) => this.entered(login, known, frame), refused)
      else this.entered(login, access, frame)
    } catch (error) {
      refused(error)
    }
  }

  private entered(login: Login, access: Access, frame: Frame): void {
    if (this.state !== 'new') return
    this.login = undefined
    this.state = 'ready'
    this.welcome(access)
    if (frame.type === 'hello') {
      this.client = frame.client
      this.context.log.debug({ connection: this.id, client: frame.client }, 'hello')
    } else this.handle(frame)
    for (const value of login.held) this.handle(value)
  }

  private takeAccess(access: Access): void {
    this.access = access
    this.restricted = access.unrestricted ? undefined : access
    if (this.allowance && access.subject !== ANONYMOUS) this.context.limits.join(this.allowance, access.subject)
    if (access.expiresAt !== undefined) this.context.watchExpiry(this)
  }

  private welcome(access: Access): void {
    const { window, pingIntervalMs, frameBytes, subscriptions } = this.context.config
    this.takeAccess(access)
    this.outbox.send({
      type: 'welcome',
      protocol: SUBPROTOCOL,
      connection: this.id,
      window,
      pingIntervalMs,
      limits: { frameBytes, subscriptions },
      ...access.about(this.context.clock.now()),
    })
  }

  /** Another token for the one that ends; what comes until it is checked still goes by the old one. */
  private renew({ seq, token }: AuthFrame): void {
    if (this.renewing) throw new FanfareError('auth_backlog', 'Another token is being checked')
    this.renewing = true
    const { authenticator } = this.context
    const credentials = { token, address: this.address, origin: undefined, headers: {} }
    const checked = async () => authenticator.authenticate(credentials)
    checked().then(
      (access) => this.renewed(seq, access),
      (error: unknown) => this.notRenewed(seq, this.known(error)),
    )
  }

  private renewed(seq: number, access: Access): void {
    this.renewing = false
    if (this.state !== 'ready') return
    this.takeAccess(access)
    this.outbox.send({ type: 'authenticated', seq, ...access.about(this.context.clock.now()) })
    const { restricted } = this
    if (!restricted) return
    const check = (frame: Frame) => permit(restricted, frame, this.context.streams)
    const refuse = (error: unknown, about: unknown) => this.refuse(error, about)
    this.subscriptions?.recheck(check, refuse)
    this.consumers?.recheck(check)
    this.requests?.recheck(check, refuse)
  }

  private notRenewed(seq: number, error: FanfareError): void {
    this.renewing = false
    if (this.state !== 'ready') return
    const { code, message, retry } = error
    // Who it is was known, and is until the old token ends.
    if (code === 'auth_unavailable') this.outbox.send({ type: 'error', code, message, retry, seq })
    else this.end(error)
  }

  private dispatch(frame: Frame): void {
    if (this.restricted) permit(this.restricted, frame, this.context.streams)
    switch (frame.type) {
      case 'auth':
        return this.renew(frame)
      case 'publish':
        return this.publish(frame)
      case 'subscribe':
        this.takeSubscribe()
        this.subscriptions ??= new Subscriptions(this.context, this.outbox)
        return this.subscriptions.subscribe(frame)
      case 'unsubscribe':
        if (this.requests?.withdraw(frame.sub)) return
        return this.subscribed(frame.sub).unsubscribe(frame.sub)
      case 'pause':
        return this.subscribed(frame.sub).pause(frame.sub)
      case 'resume':
        return this.subscribed(frame.sub).resume(frame.sub)
      case 'commit':
        return this.commit(frame)
      case 'consume':
        this.takeSubscribe()
        this.consumers ??= new Consumers(this.context, this.outbox, (error, about) => this.refuse(error, about))
        return this.consumers.consume(frame)
      case 'cancel':
        return this.consuming(frame.consumer).cancel(frame.consumer)
      case 'ack':
      case 'nack':
      case 'reject':
        return this.consuming(frame.consumer).settle(frame)
      case 'extend':
        return this.consuming(frame.consumer).extend(frame)
      case 'respond':
        this.takeSubscribe()
        return this.requestReply().respond(frame)
      case 'ask':
        return this.ask(frame)
      case 'reply':
        return this.requestReply().reply(frame)
      case 'call':
        return this.call(frame)
      case 'ping':
        return this.pong()
      default:
        throw new FanfareError('unknown_frame', `"${frame.type}" goes from the hub to a client`)
    }
  }

  private publish(frame: PublishFrame): void {
    this.takeWindow()
    try {
      this.context.topics.publish(frame, (error, outcome) => this.settled(frame, error, outcome))
    } catch (error) {
      this.unacknowledged--
      throw error
    }
  }

  private takeWindow(): void {
    const { window } = this.context.config
    if (this.unacknowledged >= window) throw new FanfareError('window_exceeded', `The window is ${window}`)
    this.unacknowledged++
  }

  private settled(frame: PublishFrame, error: FanfareError | undefined, outcome: Outcome | undefined): void {
    if (this.state === 'ended') return
    if (!outcome) {
      this.unacknowledged--
      this.refuse(error, frame)
      return
    }
    if (!outcome.duplicate) this.publishedTotal++
    this.outbox.sendReceipt(encodeReceipt(frame.seq, outcome))
  }

  private commit(frame: CommitFrame): void {
    this.subscribed(frame.sub)
      .commit(frame)
      .catch((error: unknown) => this.refuse(error, frame))
  }

  private call(frame: CallFrame): void {
    const { seq, method, params } = frame
    this.context.call(method, params, this.access as Access).then(
      (result) => {
        if (this.state !== 'ended') this.outbox.send({ type: 'result', seq, result })
      },
      (error: unknown) => this.refuse(error, frame),
    )
  }

  private ask(frame: AskFrame): void {
    this.takeWindow()
    try {
      this.requestReply().ask(frame, () => this.unacknowledged--)
    } catch (error) {
      this.unacknowledged--
      throw error
    }
  }

  private requestReply(): Requests {
    const { requests, config } = this.context
    this.requests ??= new Requests(requests, this.outbox, config.subscriptions, (error, about) =>
      this.refuse(error, about),
    )
    return this.requests
  }

  private consuming(consumer: number): Consumers {
    if (!this.consumers) throw new FanfareError('unknown_consumer', `"consumer" is ${consumer}`)
    return this.consumers
  }

  private subscribed(sub: number): Subscriptions {
    if (!this.subscriptions) throw new FanfareError('unknown_subscription', `"sub" is ${sub}`)
    return this.subscriptions
  }

  // One pong answers all pings of a turn, as RFC 6455 5.5.3 allows for its own: a flood of pings costs a flag each.
  private pong(): void {
    if (this.pongWaits) return
    this.pongWaits = true
    setImmediate(() => {
      this.pongWaits = false
    })
    this.outbox.send({ type: 'pong' })
  }

  private refuse(thrown: unknown, value?: unknown): void {
    if (this.state === 'ended') return
    const error = this.known(thrown)
    if (errorEntry(error.code).close !== undefined) {
      this.end(error)
      return
    }
    const { code, message, retry } = error
    this.context.traffic.refused(code)
    this.outbox.send({ type: 'error', code, message, retry, ...numbersIn(value) })
  }

  private known(thrown: unknown): FanfareError {
    if (thrown instanceof FanfareError) return thrown
    this.context.log.error({ err: thrown, connection: this.id }, 'a frame made the hub fail')
    return new FanfareError('internal')
  }

  private hangUp(code: ErrorCode): void {
    if (this.state === 'ended') return
    this.context.log.info({ connection: this.id, address: this.address, code }, 'connection ended')
    this.context.traffic.refused(code)
    this.release()
    this.socket.close(errorEntry(code).close ?? 1000, `${code}: ${errorEntry(code).text}`)
  }

  private release(): void {
    this.state = 'ended'
    this.login = undefined
    if (this.allowance) this.context.limits.leave(this.allowance)
    this.outbox.release()
    this.subscriptions?.release()
    this.subscriptions = undefined
    this.consumers?.release(true)
    this.consumers = undefined
    this.requests?.release()
    this.requests = undefined
  }
}

function textOf(data: Uint8Array): string {
  if (!isUtf8(data)) throw new FanfareError('bad_utf8')
  const buffer = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  // The same characters, and several times as fast.
  return isAscii(data) ? buffer.toString('latin1') : buffer.toString()
}

/** By hand, because it is the hot path: ids, names of streams and epochs hold nothing that JSON escapes. */
function encodeReceipt(seq: number, { id, duplicate, positions, queues }: Outcome): string {
  let json = `{"type":"receipt","seq":${seq},"id":"${id}"`
  if (positions) {
    let comma = ''
    json += ',"positions":{'
    for (const name in positions) {
      const { epoch, offset } = positions[name] as Position
      json += `${comma}"${name}":{"epoch":"${epoch}","offset":${offset}}`
      comma = ','
    }
    json += '}'
  }
  if (queues && queues.length > 0) json += `,"queues":["${queues.join('","')}"]`
  return duplicate ? `${json},"duplicate":true}` : `${json}}`
}

/** What is refused beyond a limit. An ack, or what ends something, is counted, and done: refused it would cost more. */
const NEW_WORK: readonly unknown[] = [
  'publish',
  'ask',
  'subscribe',
  'consume',
  'respond',
  'call',
] satisfies Frame['type'][]

function isNewWork(value: unknown): boolean {
  return typeof value === 'object' && value !== null && NEW_WORK.includes((value as { type?: unknown }).type)
}

const ABOUT = ['seq', 'sub', 'offset', 'consumer', 'delivery', 'request'] as const

/** Says in an error which request was refused. */
function numbersIn(value: unknown): Partial<Record<(typeof ABOUT)[number], number>> {
  const numbers: Partial<Record<(typeof ABOUT)[number], number>> = {}
  if (typeof value !== 'object' || value === null) return numbers
  for (const name of ABOUT) {
    const number = (value as Record<string, unknown>)[name]
    if (typeof number === 'number') numbers[name] = number
  }
  return numbers
}
