import { setImmediate } from 'node:timers'
import { type ErrorCode, errorEntry, FanfareError } from '../../shared/errors.ts'
import type { CheckedFrame, Frame } from '../../shared/frames.ts'
import { parseFrame } from '../../shared/parse-frame.ts'
import type { ConnectionInfo } from '../../shared/sys.ts'
import type { Access } from '../auth/access.ts'
import type { EngineSocket, SocketHandlers, UpgradeRequest } from '../engine/engine.ts'
import { randomId } from '../id/random-id.ts'
import { exceeded, type LimitName } from '../limit/limits.ts'
import type { Allowance } from '../limit/message-limits.ts'
import { LISTED_OF_EACH, type WatchedConnection } from '../registry/connections.ts'
import type { Subscription } from '../topic/subscription.ts'
import { connectionInfo } from './connection-info.ts'
import type { ConnectionParts } from './connection-parts.ts'
import { decodeMessage } from './decode.ts'
import { Dispatch } from './dispatch.ts'
import type { PingedConnection, SilenceBounds } from './heartbeat.ts'
import { Inbox, type InboxOwner } from './inbox.ts'
import { Login, welcomeFrame } from './login.ts'
import { Outbox } from './outbox.ts'
import type { OutboxOwner } from './outbox-owner.ts'
import { costsItself, Explanations, errorFrame, isNewWork } from './refusal.ts'
import { Renewal, type RenewalOwner } from './renewal.ts'

/**
 * One WebSocket of one client, from opening to hanging up: authenticates the client, reads its frames, and reports errors in them.
 * `Dispatch` does what the frames ask for.
 *
 * It is a boundary: whatever the engine, a timer or a promise calls here never throws. A bug costs this connection (`internal`).
 */
export class Connection
  implements SocketHandlers, InboxOwner, OutboxOwner, RenewalOwner, WatchedConnection, PingedConnection
{
  readonly id = randomId(12)
  readonly number: number
  readonly address: string
  readonly outbox: Outbox
  private readonly socket: EngineSocket
  private readonly parts: ConnectionParts
  private readonly inbox: Inbox
  /** Created when the first frame asks for something. */
  dispatch: Dispatch | undefined = undefined
  /**
   * `new` until the first frame, which stands for a hello if it is not one, and until the client is authenticated. `finishing`:
   * waiting frames are still sent, but nothing is read any more.
   */
  private state: 'new' | 'ready' | 'finishing' | 'ended' = 'new'
  private login: Login | undefined
  private access: Access | undefined = undefined
  private renewal: Renewal | undefined = undefined
  /** Undefined if there is no limit, so that nothing is counted. */
  private readonly allowance: Allowance | undefined
  client: string | undefined = undefined
  /** Whether the peer has sent something since the heartbeat's last look. */
  private heard = true
  private silentLooks = 0
  readonly since: number
  private explaining: Explanations | undefined = undefined
  /** The last figures, stored when the connection releases its parts. */
  private last: ConnectionInfo | undefined = undefined

  constructor(socket: EngineSocket, address: string, parts: ConnectionParts, who: UpgradeRequest | Access) {
    this.socket = socket
    this.address = address
    this.parts = parts
    this.allowance = parts.limits.forConnection()
    this.login = new Login(who)
    this.since = parts.clock.now()
    this.number = ++parts.traffic.connectionsTotal
    this.inbox = new Inbox(socket, parts.inbox, this)
    this.outbox = new Outbox(socket, parts.outbox, this)
  }

  message(data: Uint8Array, binary: boolean): void {
    // Here rather than in `guarded`, to avoid a closure per message.
    try {
      this.heard = true
      this.parts.turn.arrived()
      this.parts.traffic.bytesIn += data.length
      this.inbox.receive(data, binary)
    } catch (error) {
      this.failed(error)
    }
  }

  broken(code: 'frame_too_large' | 'bad_utf8' | 'bad_frame', message?: string): void {
    this.guarded(() => this.end(new FanfareError(code, message)))
  }

  alive(): void {
    this.heard = true
    this.outbox.ponged()
  }

  drain(): void {
    this.outbox.drain()
    if (this.state === 'finishing') this.finish()
  }

  close(): void {
    this.guarded(() => this.release())
    this.guarded(() => this.parts.closed(this.id))
  }

  /** Called several times per ping interval: pings a peer that has been silent for one, and ends its connection if the ping is not answered. */
  look({ pingAfter, endAfter }: SilenceBounds): void {
    if (this.state === 'ended') return
    this.guarded(() => {
      this.silentLooks = this.heard ? 0 : this.silentLooks + 1
      this.heard = false
      if (this.silentLooks >= endAfter) this.end(new FanfareError('idle_timeout'))
      // Repeated until it answers, because a ping is skipped while the peer has enough to read.
      else if (this.silentLooks >= pingAfter) this.socket.ping()
    })
  }

  /** Ends a connection that did not send its first frame in time. Returns true if it need not be watched any longer. */
  checkHello(now: number): boolean {
    if (this.state !== 'new') return true
    if (now - this.since < this.parts.helloTimeoutMs) return false
    this.guarded(() => this.end(new FanfareError(this.login?.waiting ? 'auth_unavailable' : 'hello_timeout')))
    return true
  }

  checkExpiry(): void {
    this.guarded(() => {
      const now = this.parts.authenticator.now()
      const endsAt = this.access?.endsAt
      if (endsAt !== undefined && endsAt <= now && this.state === 'ready') this.end(new FanfareError('token_expired'))
    })
  }

  /** Sends the error after everything that the peer is owed, and closes. */
  end(error: FanfareError): void {
    if (this.state === 'ended') return
    this.outbox.stopChecks()
    this.outbox.send(errorFrame(error))
    this.outbox.flush()
    this.hangUp(error.code)
  }

  /** The hub is shutting down: ends as soon as the peer has taken everything that waits for it. The hub limits the time. */
  finish(): void {
    if (this.state === 'ended') return
    this.state = 'finishing'
    this.guarded(() => {
      this.inbox.close()
      this.dispatch?.stopConsuming()
      this.outbox.stopChecks()
      this.outbox.resumeAll()
      this.outbox.flush()
      if (this.outbox.keepsUp) this.end(new FanfareError('shutting_down'))
    })
  }

  /** Ends immediately, whatever is still to be sent. */
  terminate(): void {
    this.guarded(() => this.release())
    this.guarded(() => this.socket.terminate())
  }

  get subject(): string {
    return this.access?.publisher ?? ''
  }

  mentions(text: string): boolean {
    const names = [this.id, this.address, this.client ?? '', this.subject]
    return names.some((name) => name.toLowerCase().includes(text)) || (this.dispatch?.mentions(text) ?? false)
  }

  info(now: number, most: number): ConnectionInfo {
    const { outbox, dispatch, parts } = this
    return connectionInfo(this, outbox, dispatch, parts.node(), now, most)
  }

  feedFailed(subscription: Subscription, error: unknown): void {
    if (this.state === 'ended') return
    this.guarded(() => {
      this.dispatch?.drop(subscription)
      this.refuse(error, { sub: subscription.sub })
    })
  }

  overflow(code: 'slow_consumer' | 'outbox_total'): void {
    this.remember()
    this.outbox.release()
    // Later, because the fan-out that filled the outbox is still reading the index of subscriptions.
    setImmediate(() => this.hangUp(code))
  }

  failed(error: unknown): void {
    const { unexpected } = this.parts
    unexpected.report('connection', error, { connection: this.id })
    if (this.state === 'ended') return
    this.state = 'finishing'
    this.remember()
    unexpected.run('connection', () => this.outbox.release())
    setImmediate(() => this.hangUp('internal'))
  }

  private guarded(task: () => void): void {
    try {
      task()
    } catch (error) {
      this.failed(error)
    }
  }

  /** Whether frames are held because the client is not authenticated yet. */
  get holds(): boolean {
    return this.login?.waiting ?? false
  }

  decode(data: Uint8Array, binary: boolean): readonly unknown[] {
    try {
      this.login?.arrived(data.length)
      // Held frames are read later, so they need a copy of the engine's bytes.
      const values = this.withoutAnswers(decodeMessage(this.login ? new Uint8Array(data) : data, binary))
      this.allowance?.take(values.length, data.length)
      if (!this.allowance?.flooding) return values
      this.flooded(this.allowance)
    } catch (error) {
      this.refuse(error)
    }
    return []
  }

  /** Before authentication a client can send no more than is held; the limits count from then on. */
  take(value: unknown, at: number, within?: number): void {
    const { allowance } = this
    this.heard = true
    try {
      const isBeyond = allowance && at >= (within ?? allowance.within) && !this.login
      if (isBeyond && isNewWork(value)) this.refuseBeyond(allowance.exceeded as LimitName, value)
      else this.handle(value)
    } catch (error) {
      this.refuse(error)
    }
  }

  private handle(value: unknown): void {
    if (this.state === 'ended' || this.state === 'finishing') return
    if (this.login?.waiting) return this.login.hold(value)
    try {
      const { login } = this
      if (login) return this.enter(login, login.firstFrame(value))
      const frame = parseFrame(value)
      if (frame.type === 'hello') throw new FanfareError('hello_late')
      if (frame.type === 'auth') {
        this.renewal ??= new Renewal(this.parts.authenticator, this)
        return this.renewal.check(frame)
      }
      if (frame.type === 'checked') return void this.outbox.checked(frame.n)
      this.dispatch ??= new Dispatch(this.parts.dispatch, this, this.outbox, this.refuse)
      this.dispatch.handle(frame, this.access as Access)
    } catch (error) {
      this.refuse(error, value)
    }
  }

  /** Answers to checks come as often as the hub asks, and count for no limit. */
  private withoutAnswers(values: readonly unknown[]): readonly unknown[] {
    if (this.state !== 'ready' || !values.some(isChecked)) return values
    return values.filter((value) => !(isChecked(value) && this.outbox.checked(value.n)))
  }

  private flooded({ exceeded }: Allowance): void {
    this.end(new FanfareError('flooding', `The connection kept exceeding ${exceeded}. Reconnect, and send less.`))
  }

  private refuseBeyond(limit: LimitName, value: unknown): void {
    if (this.state !== 'ready') return
    this.parts.traffic.hit(limit, { connection: this.id, address: this.address, subject: this.allowance?.subject })
    this.refuse(new FanfareError('rate_limited', exceeded(limit)), value)
  }

  /** Authenticates the client by its first frame. */
  private enter(login: Login, frame: Frame): void {
    login.enter(
      this.parts.authenticator,
      frame.type === 'hello' ? frame.token : undefined,
      (access) => this.guarded(() => this.entered(login, access, frame)),
      (error) => this.guarded(() => this.end(this.known(error))),
    )
  }

  private entered(login: Login, access: Access, frame: Frame): void {
    if (this.state !== 'new') return
    this.login = undefined
    this.state = 'ready'
    this.takeAccess(access)
    if (frame.type === 'hello' && frame.checks) this.outbox.startChecks()
    this.outbox.send(welcomeFrame(this.id, access, this.parts.welcome))
    const { allowance } = this
    const within = allowance?.shared ? allowance.takeEarly() : Number.POSITIVE_INFINITY
    if (allowance?.flooding) return this.flooded(allowance)
    if (frame.type === 'hello') {
      this.client = frame.client
      this.parts.log.debug({ connection: this.id, client: frame.client }, 'hello')
    }
    const first = frame.type === 'hello' ? 1 : 0
    this.inbox.handle([frame, ...login.held], first, login.heldBytes, within)
  }

  renewed(access: Access, seq: number): void {
    this.guarded(() => {
      if (this.state !== 'ready') return
      this.takeAccess(access)
      this.outbox.send({ type: 'authenticated', seq, ...access.about(this.parts.authenticator.now()) })
      this.dispatch?.recheck(access)
    })
  }

  notRenewed(thrown: unknown, seq: number): void {
    this.guarded(() => {
      const error = this.known(thrown)
      if (this.state !== 'ready') return
      // The identity was known, and stays valid until the old token expires.
      if (error.code === 'auth_unavailable') this.outbox.send(errorFrame(error, { seq }))
      else this.end(error)
    })
  }

  private takeAccess(access: Access): void {
    this.access = access
    if (this.allowance && !access.anonymous) this.parts.limits.join(this.allowance, access.subject)
    if (access.endsAt !== undefined) this.parts.watchExpiry(this)
  }

  /** Also called later, by promises and by the broker. */
  private readonly refuse = (thrown: unknown, about?: unknown): void => {
    if (this.state === 'ended') return
    this.guarded(() => {
      const error = this.known(thrown)
      if (!costsItself(error, about)) return this.end(error)
      if (errorEntry(error.code).close !== undefined && !this.explanations.malformed()) {
        this.parts.traffic.hit('malformedFramesPerSecond', { connection: this.id, address: this.address })
        return this.end(error)
      }
      this.parts.traffic.refused(error.code)
      const detailed = () => this.dispatch?.detailed(error, about, this.access as Access)
      const frame = this.explanations.frameFor(error, about, detailed)
      if (frame) this.outbox.send(frame)
    })
  }

  /** Created when the first frame is refused. */
  private get explanations(): Explanations {
    this.explaining ??= new Explanations(this.parts.clock)
    return this.explaining
  }

  private known(thrown: unknown): FanfareError {
    if (thrown instanceof FanfareError) return thrown
    this.parts.unexpected.report('connection', thrown, { connection: this.id })
    return new FanfareError('internal')
  }

  /** Each step is guarded separately: whatever fails, the socket is closed and the connection leaves nothing behind. */
  private hangUp(code: ErrorCode): void {
    if (this.state === 'ended') return
    const { unexpected, log, traffic } = this.parts
    const { id: connection, address } = this
    traffic.refused(code)
    unexpected.run('connection', () => this.release(code))
    const { close = 1000, text } = errorEntry(code)
    // RFC 6455 allows 123 bytes; the texts are ASCII.
    unexpected.run('connection', () => this.socket.close(close, `${code}: ${text}`.slice(0, 123)))
    unexpected.run('connection', () => log.info({ connection, address, code }, 'connection ended'))
  }

  /** Call before the connection releases its parts. */
  private remember(): void {
    const { unexpected, clock } = this.parts
    unexpected.run('connection', () => {
      this.last ??= this.info(clock.now(), LISTED_OF_EACH)
    })
  }

  private release(code?: ErrorCode): void {
    if (this.state !== 'ended' && this.access) {
      this.remember()
      const { last } = this
      if (last) this.parts.ended(last, code)
    }
    this.state = 'ended'
    this.login?.discard()
    this.login = undefined
    const { unexpected, limits } = this.parts
    if (this.allowance) limits.leave(this.allowance)
    unexpected.run('connection', () => this.inbox.close())
    unexpected.run('connection', () => this.outbox.release())
    unexpected.run('connection', () => this.dispatch?.release())
  }
}

function isChecked(value: unknown): value is CheckedFrame {
  return (value as { type?: unknown } | null | undefined)?.type === 'checked'
}
