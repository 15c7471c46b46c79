import type { Clock } from '../shared/clock.ts'
import { decodeBinary, decodeText } from '../shared/codec.ts'
import { sentence } from '../shared/error-text.ts'
import { errorFrom, FanfareError } from '../shared/fanfare-error.ts'
import { type ErrorFrame, type HubFrame, SUBPROTOCOL, type WelcomeFrame } from '../shared/frames.ts'
import { HUB_FRAMES } from '../shared/hub-frame-rules.ts'
import { checkFrame } from '../shared/rules.ts'
import { textOf } from '../shared/thrown.ts'
import { onAbort } from './abort.ts'
import { Alarm } from './alarm.ts'
import type { Backoff } from './backoff.ts'
import { Farewell } from './farewell.ts'
import { closeError, connectError, FINAL, TOKEN_REFUSED } from './final.ts'
import { Liveness } from './liveness.ts'
import { msOf } from './options.ts'
import { type Raw, Received } from './received.ts'
import { type ConnectionState, type ConnectionStateChange, type ConnectionStateReason, reasonOf } from './state.ts'
import { throwLater } from './throw-later.ts'
import { type GetToken, Tokens } from './tokens.ts'
import { onWake } from './wake.ts'
import { sendTo, type WebSocketClass, type WebSocketLike } from './websocket.ts'
import { exceeds, tooLarge, Writer } from './writer.ts'

/** Receives the events of a session. */
export interface SessionListener {
  /** The socket is open: what is written now goes out right after the hello. */
  opened(): void
  welcomed(welcome: WelcomeFrame): void
  /** `only`: the frame is only for this subscription. */
  received(frame: HubFrame, only: number | undefined): void
  /** The connection is gone; another one may come. */
  lost(): void
  /** The session has ended: an error if it failed, and the error for everything that waits for an answer. */
  ended(error: FanfareError | undefined, why: FanfareError): void
  changed(change: ConnectionStateChange): void
}

/** The end of a hub in this process. Without an error the program has closed it: nothing failed, and loops end normally. */
export interface HubEnd {
  readonly error?: FanfareError | undefined
  /** The error for everything that waits for an answer. */
  readonly why: FanfareError
}

export interface SessionOptions {
  readonly WebSocket: WebSocketClass
  readonly backoff?: Backoff | undefined
  readonly name?: string | undefined
  readonly clock: Clock
  readonly token?: string | undefined
  readonly getToken?: GetToken | undefined
  /** For a client in the hub's own process: aborted with a `HubEnd` once no further connection is possible. */
  readonly hubGone?: AbortSignal | undefined
}

/** Close codes of this side: the hub is silent or sends malformed frames; its welcome is malformed. */
const DROPPED = 4002
const UNREADABLE = 4400

/** Longest time from a new socket to the hub's welcome, and for a token before that, in milliseconds. */
const WELCOME_TIMEOUT_MS = 10_000

/** Holds a connection to the hub: opens it, watches over it, opens it again. */
export class Session {
  state: ConnectionState = 'connecting'
  /** The hello has been written: what is written now goes out. */
  isOpen = false
  /** Counts attempts and connections: anything for an earlier one is too late. */
  connection = 0
  /** The JSON text of the frame that is being handled. */
  raw: Raw = () => undefined
  readonly writer = new Writer((message) => sendTo(this.#socket, message))
  readonly #url: string
  readonly #options: SessionOptions
  readonly #baseMs: number
  readonly #capMs: number
  readonly #listener: SessionListener
  #socket: WebSocketLike | undefined
  /** The one timer that runs: for the welcome or the next try. */
  readonly #alarm: Alarm
  /** Attempts since a connection was last open for a while. */
  #failures = 0
  /** There has been a socket: the platform takes the address. */
  #hadSocket = false
  /** When the hub last sent a welcome. */
  #welcomedAt: number | undefined
  readonly #liveness: Liveness
  readonly #stopWaking: () => void
  readonly #offGone: () => void
  /** The reason that the hub gave for the close that follows. */
  #lastError: FanfareError | undefined
  readonly #farewell: Farewell
  /** Callbacks that wait for a pong. */
  #pongs: (() => void)[] = []
  readonly #tokens: Tokens | undefined
  #token: string | undefined
  #hubAheadMs = 0
  /** The number of the `auth` frame whose token the hub checks. */
  #renewalSeq: number | undefined
  #lastNumber = 0

  constructor(url: string, options: SessionOptions, listener: SessionListener) {
    this.#url = url
    this.#options = options
    this.#listener = listener
    const { base = 1_000, cap = 5_000 } = options.backoff ?? {}
    this.#baseMs = msOf(base)
    this.#capMs = msOf(cap)
    this.#alarm = new Alarm(options.clock)
    this.#farewell = new Farewell(options.clock)
    this.#liveness = new Liveness(options.clock, {
      ping: () => this.say({ type: 'ping' }),
      dead: () => this.#drop(new FanfareError('idle_timeout'), DROPPED),
    })
    this.#stopWaking = onWake(() => this.#woken())
    // An open connection still gets everything that was sent to it.
    this.#offGone = onAbort(options.hubGone, () => this.#socket || this.#endWithHub())
    this.#token = options.token
    const { getToken } = options
    this.#tokens = getToken && new Tokens(getToken, this, (token) => this.#renew(token))
  }

  get clock(): Clock {
    return this.#options.clock
  }

  /**
   * The wait before what has failed this often is tried again, in milliseconds: random between 0 and a bound that doubles with every
   * failure. Full jitter spreads the clients of a hub that went away best (AWS Architecture Blog, "Exponential Backoff And Jitter").
   */
  backoffMs(failures: number): number {
    return this.clock.jitter() * Math.min(this.#capMs, this.#baseMs * 2 ** failures)
  }

  /** One counter for everything that has a number. */
  nextNumber(): number {
    return ++this.#lastNumber
  }

  /** The hub's time, according to its last welcome; before that the time of this machine. */
  hubNow(): number {
    return this.clock.now() + this.#hubAheadMs
  }

  /** Throws `bad_url` at the first try, if no token has to be awaited. */
  open(): void {
    if (!this.#tokens) return this.#openSocket()
    const { connection } = this
    const failed = (error: FanfareError) => {
      if (connection === this.connection) this.#tryLater(error)
    }
    this.#alarm.set(WELCOME_TIMEOUT_MS, () =>
      failed(
        new FanfareError(
          'token_unavailable',
          `getToken returned nothing within ${WELCOME_TIMEOUT_MS} ms. The client tries again.`,
        ),
      ),
    )
    this.#tokens.ask().then((token) => {
      if (connection !== this.connection) return
      this.#token = token
      this.#openSocket()
    }, failed)
  }

  #openSocket(): void {
    this.#lastError = undefined
    let socket: WebSocketLike
    try {
      socket = new this.#options.WebSocket(this.#url, [SUBPROTOCOL])
    } catch (thrown) {
      return this.#notOpened(textOf(thrown))
    }
    this.#hadSocket = true
    this.#socket = socket
    socket.binaryType = 'arraybuffer'
    let problem = ''
    socket.onopen = () => this.#hello()
    socket.onmessage = (event) => this.#receive(event.data)
    socket.onclose = ({ code, reason }) => this.#closed(code, reason || problem)
    // 'close' always follows. A browser gives no reason here, other platforms do.
    socket.onerror = (event) => {
      problem = event?.message ?? ''
    }
    const late = new FanfareError('hello_timeout', `The hub sent no welcome within ${WELCOME_TIMEOUT_MS} ms.`)
    this.#alarm.set(WELCOME_TIMEOUT_MS, () => this.#drop(late, DROPPED))
  }

  /** The platform creates no socket. If it never has, it never will: the address is wrong, or this page may not use it. */
  #notOpened(why: string): void {
    if (this.#hadSocket) return this.#tryLater(connectError(0, why))
    const error = new FanfareError('bad_url', `The platform refuses to open a WebSocket: ${sentence(why)}`)
    this.#end(error)
    if (!this.#tokens) throw error
  }

  write(frame: string | Uint8Array): void {
    // A frame about a connection that is gone means nothing on the next one.
    if (this.isOpen) this.writer.write(frame)
  }

  /** Writes a frame that has no data of the application. JSON leaves undefined fields out. */
  say(frame: object): void {
    this.write(JSON.stringify(frame))
  }

  /** Throws `frame_too_large`. */
  checkSize(frame: string | Uint8Array): void {
    if (exceeds(frame, this.writer.limit)) throw tooLarge(this.writer.limit)
  }

  /**
   * Sends what was written, and calls `done` when the hub has read it and everything that it sent before has arrived. Calls it at once without
   * a connection.
   */
  roundTrip(done: () => void): void {
    if (!this.isOpen) return done()
    this.#pongs.push(done)
    this.say({ type: 'ping' })
    this.writer.flush()
  }

  /** Closes for good; resolves when the socket is closed, or after two seconds. */
  async close(): Promise<void> {
    if (this.state === 'closed') return
    this.writer.flush()
    // Connections given up before: their peers have had their time.
    this.#farewell.cutAll()
    const socket = this.#letGo()
    this.#end(undefined)
    if (socket) await this.#farewell.say(socket, 1000)
  }

  #hello(): void {
    this.isOpen = true
    this.say({ type: 'hello', client: this.#options.name, token: this.#token, checks: true })
    this.#listener.opened()
    this.writer.flush()
  }

  #receive(data: unknown): void {
    this.#liveness.heard()
    let only: number | undefined
    let value: unknown
    let at = 0
    const whole = new Received(data)
    try {
      for (value of decode(data)) {
        const place = at++
        this.raw = (...path) => whole.raw(place, ...path)
        // Undefined: a frame of a later hub, which this client does not know.
        const frame = checkFrame(value, HUB_FRAMES) as HubFrame | undefined
        if (frame?.type === 'only') only = frame.sub
        else if (frame) this.#handleAlone(frame, only)
      }
    } catch (error) {
      if (!(error instanceof FanfareError)) throw error
      if ((value as { readonly type?: unknown } | undefined)?.type !== 'welcome') return this.#drop(error, DROPPED)
      const unreadable = new FanfareError('bad_frame', `The hub's welcome cannot be read: ${error.message}`)
      // If no welcome could ever be read, the next one will be the same. A hub that is being replaced may send a better one.
      this.#drop(unreadable, UNREADABLE, this.#welcomedAt === undefined)
    }
  }

  /** A bug of the client, or of an object that the application passed, costs one frame: the following ones are handled all the same. */
  #handleAlone(frame: HubFrame, only: number | undefined): void {
    try {
      this.#handle(frame, only)
    } catch (error) {
      if (error instanceof FanfareError) throw error
      throwLater(error)
    }
  }

  #handle(frame: HubFrame, only: number | undefined): void {
    if (frame.type === 'welcome') this.#welcome(frame)
    else if (frame.type === 'check') this.#checked(frame.n)
    else if (frame.type === 'pong') for (const done of this.#pongs.splice(0)) done()
    else if (frame.type === 'authenticated') this.#tokens?.accepted(frame.expiresInMs)
    else if (frame.type === 'error' && frame.seq !== undefined && frame.seq === this.#renewalSeq) this.#tokens?.again()
    else if (frame.type === 'error' && !refusesRequest(frame)) {
      this.#lastError = errorFrom(frame)
    } else this.#listener.received(frame, only)
  }

  /** Sent at once, and not at the end of the turn: more messages may have arrived, which handlers still have to process. */
  #checked(n: number): void {
    this.say({ type: 'checked', n })
    this.writer.flush()
  }

  #renew(token: string): void {
    this.#renewalSeq = this.nextNumber()
    this.say({ type: 'auth', seq: this.#renewalSeq, token })
  }

  #welcome(frame: WelcomeFrame): void {
    this.#welcomedAt = this.clock.now()
    this.#tokens?.accepted(frame.expiresInMs)
    this.writer.welcomed(frame.limits.frameBytes)
    if (frame.now !== undefined) this.#hubAheadMs = frame.now - this.clock.now()
    this.#alarm.clear()
    this.#liveness.start(frame.pingIntervalMs)
    this.#change('connected', { code: 'opened', message: 'The hub accepted the connection.' })
    this.#listener.welcomed(frame)
  }

  /** The platform reports that the network, the page or the machine is back. */
  #woken(): void {
    if (this.state === 'connected') this.#liveness.doubt()
    else if (this.state === 'waiting') this.#retry()
  }

  #retry(): void {
    this.#alarm.clear()
    this.#change('connecting', { code: 'retry', message: `Attempt ${this.#failures}.` })
    this.open()
  }

  /** Ends this connection from our side, without waiting for a peer that may be gone. */
  #drop(error: FanfareError, closeCode: number, final = false): void {
    const socket = this.#letGo()
    if (!socket) return
    void this.#farewell.say(socket, closeCode, error.code)
    this.#over(error, closeCode, final)
  }

  #closed(closeCode: number, text: string): void {
    const error = this.#lastError ?? (this.isOpen ? closeError : connectError)(closeCode, text)
    this.#over(error, closeCode, FINAL.includes(error.code) && !(this.#tokens && TOKEN_REFUSED.includes(error.code)))
  }

  #over(error: FanfareError, closeCode: number, final: boolean): void {
    this.#letGo()
    this.writer.reset()
    if (this.#options.hubGone?.aborted) this.#endWithHub(closeCode)
    else if (final) this.#end(error, closeCode)
    else this.#tryLater(error, closeCode)
  }

  #tryLater(error: FanfareError, closeCode?: number): void {
    // A hub that welcomes clients and then fails each time is not tried again at once.
    const stood = this.state === 'connected' ? this.clock.now() - (this.#welcomedAt ?? 0) : 0
    if (stood >= this.#capMs) this.#failures = 0
    this.#change('waiting', reasonOf(error, closeCode))
    this.#alarm.set(this.backoffMs(this.#failures++), () => this.#retry())
    this.#lost()
  }

  #lost(): void {
    this.connection++
    this.#tokens?.stop()
    this.#listener.lost()
  }

  #endWithHub(closeCode?: number): void {
    const { reason } = this.#options.hubGone as AbortSignal
    const { error, why } = reason as HubEnd
    this.#end(error, closeCode, why)
  }

  /** Without an error, the client or the program that runs its hub ends it. */
  #end(error: FanfareError | undefined, closeCode?: number, why = error): void {
    this.#alarm.clear()
    this.#stopWaking()
    this.#offGone()
    this.#change('closed', reasonOf(why ?? { code: 'closed_by_client', message: 'close() was called.' }, closeCode))
    this.#lost()
    this.#listener.ended(error, why ?? new FanfareError('client_closed'))
  }

  #letGo(): WebSocketLike | undefined {
    const socket = this.#socket
    if (socket) socket.onopen = socket.onmessage = socket.onclose = null
    this.#socket = undefined
    this.isOpen = false
    this.#pongs = []
    this.#liveness.stop()
    return socket
  }

  #change(to: ConnectionState, reason: ConnectionStateReason): void {
    const from = this.state
    this.state = to
    this.#listener.changed({ from, to, reason })
  }
}

function decode(data: unknown): unknown[] {
  return typeof data === 'string' ? decodeText(data) : decodeBinary(new Uint8Array(data as ArrayBuffer), true)
}

/** Any other error ends the connection. */
function refusesRequest({ seq, sub, consumer }: ErrorFrame): boolean {
  return seq !== undefined || sub !== undefined || consumer !== undefined
}
