import type { Clock, Timer } from '../shared/clock.ts'
import { decodeBinary, decodeText } from '../shared/codec.ts'
import { ERRORS, type ErrorCode, errorEntry, FanfareError, shouldReconnect } from '../shared/errors.ts'
import { type ErrorFrame, type Frame, SUBPROTOCOL, type WelcomeFrame } from '../shared/frames.ts'
import { parseFrame } from '../shared/parse-frame.ts'
import { type Backoff, backoffMs } from './backoff.ts'
import { Farewell } from './farewell.ts'
import { Liveness } from './liveness.ts'
import { type GetToken, Tokens } from './tokens.ts'
import { onWake } from './wake.ts'
import type { WebSocketClass, WebSocketLike } from './websocket.ts'
import { Writer } from './writer.ts'

/** `connecting`: a try is under way. `waiting`: the next one comes after a while. `closed`: for good. */
export type State = 'connecting' | 'connected' | 'waiting' | 'closed'

/** A change of the connection's state, and why. */
export interface StateChange {
  readonly from: State
  readonly to: State
  readonly reason: Reason
}

/** Why a connection's state has changed. */
export interface Reason {
  /** A code of the error table, or `opened`, `retry`, `closed_by_client`. */
  readonly code: string
  readonly message: string
  /** Of the WebSocket, where one was closed. */
  readonly closeCode?: number
}

/** What the parts that live on a session are told. */
export interface SessionListener {
  /** The socket is open: what is written now goes out right behind the hello. */
  opened(): void
  welcomed(welcome: WelcomeFrame): void
  /** `only`: the frame is for this subscription alone. */
  received(frame: Frame, only: number | undefined): void
  /** The connection is gone; another one may come. */
  lost(): void
  /** It is over. Without an error the client itself closed it. */
  ended(error: FanfareError | undefined): void
  changed(change: StateChange): void
}

export interface SessionOptions {
  readonly WebSocket: WebSocketClass
  readonly backoff: Backoff
  readonly name: string | undefined
  readonly clock: Clock
  readonly token: string | undefined
  readonly getToken: GetToken | undefined
  /** Of what bears a number. */
  nextSeq(): number
}

/** Close codes with which the hub refuses a token: another one may do. */
const TOKEN_REFUSED: readonly number[] = (['unauthenticated', 'token_expired'] as const).map(
  (code) => errorEntry(code).close as number,
)

/** Close codes of this side: another connection may do, or would not. */
const DROPPED = errorEntry('idle_timeout').close as number
const UNREADABLE = errorEntry('bad_frame').close as number

/** Longest time from a new socket to the hub's welcome, and for a token before that, in milliseconds. */
const WELCOME_TIMEOUT_MS = 10_000

/** Holds a connection to the hub: opens it, watches over it, opens it again. */
export class Session {
  state: State = 'connecting'
  /** The hello has been said: what is written goes out. */
  isOpen = false
  readonly writer = new Writer((message) => this.socket?.send(message))
  private readonly url: string
  private readonly options: SessionOptions
  private readonly listener: SessionListener
  private socket: WebSocketLike | undefined
  /** The one timer that runs: for the welcome or the next try. */
  private timer: Timer | undefined
  private failures = 0
  private readonly liveness: Liveness
  private readonly stopWaking: () => void
  /** The hub's last word on why it is about to close. */
  private lastError: FanfareError | undefined
  private readonly farewell: Farewell
  private readonly tokens: Tokens | undefined
  private token: string | undefined
  private hubAheadMs = 0
  /** Counts tries: a token that comes for an earlier one is too late. */
  private attempt = 0
  /** The last token was refused, and no other has been let in since. */
  private refused = false
  /** Of the token that the hub checks. */
  private renewalSeq: number | undefined

  constructor(url: string, options: SessionOptions, listener: SessionListener) {
    this.url = url
    this.options = options
    this.farewell = new Farewell(options.clock)
    this.liveness = new Liveness(options.clock, {
      ping: () => this.write('{"type":"ping"}'),
      dead: () => this.drop('idle_timeout', 'The hub has gone silent'),
    })
    this.stopWaking = onWake(() => this.woken())
    this.listener = listener
    this.token = options.token
    const { getToken, clock, backoff } = options
    this.tokens = getToken && new Tokens(getToken, { clock, backoff, renew: (token) => this.renew(token) })
  }

  get clock(): Clock {
    return this.options.clock
  }

  /** The wait before what has failed this often is tried again, in milliseconds. */
  backoffMs(failures: number): number {
    return backoffMs(this.options.backoff, failures, this.clock)
  }

  /** The hub's time, as its last welcome has it; that of this machine before. */
  hubNow(): number {
    return this.clock.now() + this.hubAheadMs
  }

  open(): void {
    if (!this.tokens) return this.openSocket()
    const attempt = ++this.attempt
    const failed = (error: FanfareError) => {
      if (attempt !== this.attempt) return
      this.attempt++
      this.tryLater({ code: error.code, message: error.message })
    }
    this.setTimer(WELCOME_TIMEOUT_MS, () => failed(new FanfareError('token_unavailable', 'It took too long')))
    this.tokens.ask().then((token) => {
      if (attempt !== this.attempt) return
      this.token = token
      this.openSocket()
    }, failed)
  }

  private openSocket(): void {
    const socket = new this.options.WebSocket(this.url, [SUBPROTOCOL])
    this.socket = socket
    this.lastError = undefined
    socket.binaryType = 'arraybuffer'
    socket.onopen = () => this.hello()
    socket.onmessage = (event) => this.receive(event.data)
    socket.onclose = (event) => this.closed(event.code, event.reason)
    // Nothing to learn here: 'close' follows always.
    socket.onerror = () => {}
    this.setTimer(WELCOME_TIMEOUT_MS, () => this.drop('hello_timeout', 'The hub did not answer in time'))
  }

  write(frame: string | Uint8Array): void {
    this.writer.write(frame)
  }

  /** Closes for good; resolves when the socket is closed, or after two seconds. */
  async close(): Promise<void> {
    if (this.state === 'closed') return
    const { socket } = this
    this.attempt++
    this.writer.flush()
    this.setTimer(undefined)
    this.stopWaking()
    // Connections given up before: their peers have had their time.
    this.farewell.cutAll()
    if (socket) this.letGo(socket)
    this.end({ code: 'closed_by_client', message: 'close() was called' }, undefined)
    if (socket) await this.farewell.say(socket, 1000)
  }

  private hello(): void {
    // Undefined fields vanish in JSON.
    this.write(JSON.stringify({ type: 'hello', client: this.options.name, token: this.token }))
    this.isOpen = true
    this.listener.opened()
    this.writer.flush()
  }

  private receive(data: unknown): void {
    this.liveness.heard()
    let only: number | undefined
    let value: unknown
    try {
      for (value of decode(data)) {
        const frame = known(value)
        if (frame?.type === 'only') only = frame.sub
        else if (frame) this.handle(frame, only)
      }
    } catch (error) {
      if (!(error instanceof FanfareError)) throw error
      // The next connection would get the same one.
      if (isWelcome(value)) this.drop(error.code, `The hub's welcome cannot be read. ${error.message}`, UNREADABLE)
      else this.drop(error.code, error.message)
    }
  }

  private handle(frame: Frame, only: number | undefined): void {
    if (frame.type === 'welcome') this.welcome(frame)
    else if (frame.type === 'authenticated') this.tokens?.accepted(frame.expiresInMs)
    else if (frame.type === 'error' && frame.seq !== undefined && frame.seq === this.renewalSeq) this.tokens?.again()
    else if (frame.type === 'error' && !refusesRequest(frame)) {
      this.lastError = errorFrom(frame.code, frame.message)
    } else this.listener.received(frame, only)
  }

  private renew(token: string): void {
    this.renewalSeq = this.options.nextSeq()
    this.write(JSON.stringify({ type: 'auth', seq: this.renewalSeq, token }))
  }

  private welcome(frame: WelcomeFrame): void {
    this.failures = 0
    this.refused = false
    this.tokens?.accepted(frame.expiresInMs)
    this.writer.welcomed(frame.limits.frameBytes)
    if (frame.now !== undefined) this.hubAheadMs = frame.now - this.clock.now()
    this.setTimer(undefined)
    this.liveness.start(frame.pingIntervalMs)
    this.change('connected', { code: 'opened', message: 'The hub said welcome' })
    this.listener.welcomed(frame)
  }

  /** The platform reports that the network, the page or the machine is back. */
  private woken(): void {
    if (this.state === 'connected') this.liveness.doubt()
    else if (this.state === 'waiting') this.retry()
  }

  private retry(): void {
    this.setTimer(undefined)
    this.change('connecting', { code: 'retry', message: `Try ${this.failures}` })
    this.open()
  }

  /** Ends this connection from our side, without waiting for a peer that may be gone. */
  private drop(code: ErrorCode, message: string, closeCode = DROPPED): void {
    const { socket } = this
    if (!socket) return
    this.letGo(socket)
    void this.farewell.say(socket, closeCode, code)
    this.lastError = errorFrom(code, message)
    this.closed(closeCode, code)
  }

  private closed(closeCode: number, text: string): void {
    if (this.socket) this.letGo(this.socket)
    this.writer.reset()
    const error = this.lastError ?? errorFrom('connection_lost', text || `WebSocket close code ${closeCode}`)
    const reason: Reason = { code: error.code, message: error.message, closeCode }
    // With `getToken` a refused token is no end: the next one may do, once.
    const another = this.tokens !== undefined && !this.refused && TOKEN_REFUSED.includes(closeCode)
    if (another) this.refused = true
    if (!another && !shouldReconnect(closeCode)) return this.end(reason, error)
    this.tryLater(reason)
  }

  private tryLater(reason: Reason): void {
    this.change('waiting', reason)
    this.setTimer(this.backoffMs(this.failures++), () => this.retry())
    this.tokens?.lost()
    this.listener.lost()
  }

  private end(reason: Reason, error: FanfareError | undefined): void {
    this.setTimer(undefined)
    this.stopWaking()
    this.change('closed', reason)
    this.tokens?.lost()
    this.listener.lost()
    this.listener.ended(error)
  }

  private letGo(socket: WebSocketLike): void {
    socket.onopen = socket.onmessage = socket.onclose = null
    this.socket = undefined
    this.isOpen = false
    this.liveness.stop()
  }

  private change(to: State, reason: Reason): void {
    const from = this.state
    this.state = to
    this.listener.changed({ from, to, reason })
  }

  private setTimer(ms: number | undefined, task?: () => void): void {
    this.clock.clearTimeout(this.timer)
    this.timer = ms === undefined || !task ? undefined : this.clock.setTimeout(task, ms)
  }
}

function decode(data: unknown): unknown[] {
  return typeof data === 'string' ? decodeText(data) : decodeBinary(new Uint8Array(data as ArrayBuffer), true)
}

function isWelcome(value: unknown): boolean {
  return (value as { type?: unknown } | null | undefined)?.type === 'welcome'
}

/** Any other is the hub's last word on the connection. */
function refusesRequest({ seq, sub, consumer }: ErrorFrame): boolean {
  return seq !== undefined || sub !== undefined || consumer !== undefined
}

/** Frames of a later hub that this client does not know are passed over. */
function known(value: unknown): Frame | undefined {
  try {
    return parseFrame(value)
  } catch (error) {
    if (error instanceof FanfareError && error.code === 'unknown_frame') return undefined
    throw error
  }
}

/** The hub's error as one of ours; a code of a later hub becomes `internal`, with the hub's words. */
export function errorFrom(code: string, message: string): FanfareError {
  const known = Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : 'internal'
  return new FanfareError(known, message.replace(ERRORS[known].text, '').replace(/\. $/, '') || undefined)
}
