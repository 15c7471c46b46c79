import { setImmediate } from 'node:timers'
import { pino } from 'pino'
import { type Client, type ClientOptions, connect, type WebSocketClass } from '../../client/index.ts'
import { Authenticator } from '../../server/auth/authenticator.ts'
import { EmbeddedBroker } from '../../server/broker/embedded/embedded-broker.ts'
import { MemoryStore } from '../../server/broker/embedded/store/memory-store.ts'
import type { Change } from '../../server/broker/embedded/store/store.ts'
import { InProcessBus } from '../../server/bus/in-process-bus.ts'
import { checkConfig, type HubOptions } from '../../server/config.ts'
import { HubCore } from '../../server/hub.ts'
import { type InProcessOptions, ownIdentity } from '../../server/in-process/in-process.ts'
import type { Clock, Timer } from '../../shared/clock.ts'
import { FanfareError } from '../../shared/fanfare-error.ts'
import { DURATION_WORDS, type Duration, durationMs } from '../../shared/time.ts'
import { Network } from './network.ts'
import { VirtualClock } from './virtual-clock.ts'

/** What a hub in a test can be told: all but where it listens, logs and keeps its data. */
export type TestHubOptions = Omit<HubOptions, 'host' | 'port' | 'tls' | 'path' | 'engine' | 'data' | 'logLevel'>

/** Options of a client in a test. */
export type TestClientOptions<Topics extends object = Record<string, unknown>> = Omit<
  ClientOptions<Topics>,
  'WebSocket' | 'clock'
> &
  Pick<InProcessOptions, 'subject' | 'permissions'>

/** What is cut, and for how long. */
export interface Cut {
  /** A client that `hub.connect` made; without it all connections are cut. */
  readonly client?: Pick<Client, 'close'>
  /** For this long every attempt to connect fails. Without it the next one succeeds. */
  readonly duration?: Duration
}

/** Turns of the event loop that handlers have after the last sign of life. */
const QUIET_TURNS = 20
/** Nothing that ends takes this many. */
const MOST_TURNS = 20_000

/**
 * A hub in memory whose time moves only when the test moves it. Hub and clients are the real ones, and what they say to
 * each other is encoded as it is on a wire; only the sockets and the time are not.
 */
export class TestHub {
  /** For `connect`, together with `clientOptions`. */
  readonly url = 'ws://test.hub/'
  /** The hub's time: for code of yours that should go by it. Its `jitter` is always 1: waits are as long as they may be. */
  readonly clock: Clock
  /** For code that connects by itself: `connect(hub.url, hub.clientOptions)`. */
  readonly clientOptions: { readonly WebSocket: WebSocketClass; readonly clock: Clock }
  private readonly time: VirtualClock
  private readonly authenticator: Authenticator
  private readonly hub: HubCore
  private readonly broker: EmbeddedBroker
  private readonly network: Network
  private readonly owners = new Map<Pick<Client, 'close'>, object>()
  private commits = 0
  private seen = 0
  private queue: Promise<void> = Promise.resolve()
  private due: { readonly at: number; readonly timer: Timer } | undefined = undefined

  /** @internal */
  constructor(options: TestHubOptions) {
    const config = checkConfig(options)
    const time = new VirtualClock()
    const log = pino({ enabled: false })
    this.broker = new EmbeddedBroker(new CountedStore(() => this.commits++), { ...config, clock: time }, log)
    this.authenticator = new Authenticator(config.auth, log, time)
    this.hub = new HubCore(config, this.broker, new InProcessBus(), this.authenticator, log, time)
    this.network = new Network(this.hub, config.frameBytes)
    this.time = time
    this.clock = time
    this.clientOptions = { WebSocket: this.network.webSocketOf(undefined), clock: time }
  }

  /** @internal */
  async open(): Promise<void> {
    await this.authenticator.open()
    // Only the test reaches it.
    this.authenticator.listensOn(this.url, true)
    await this.hub.start()
  }

  /** The hub's time, in milliseconds since 1970. It starts at the time of the machine. */
  get now(): number {
    return this.time.now()
  }

  /**
   * Connects a client. It is closed with the hub, at the latest. With `subject` or `permissions` it is who you say, as for `connect` of a
   * hub in your program; otherwise `auth` decides, as for a client that comes over a network.
   */
  connect<Topics extends object = Record<string, unknown>>(options: TestClientOptions<Topics> = {}): Client<Topics> {
    const owner = {}
    const { clock } = this
    const { subject, permissions, ...rest } = options
    const isChosen = subject !== undefined || permissions !== undefined
    const access = isChosen ? this.authenticator.identify(ownIdentity({ subject, permissions })) : undefined
    const WebSocket = this.network.webSocketOf(owner, access)
    const client = connect<Topics>(this.url, { ...rest, clock, WebSocket })
    this.owners.set(client, owner)
    return client
  }

  /**
   * Moves the time on by a duration such as `'30s'`: everything that hub and clients do by the clock
   * happens at its moment and in its order, and before each next moment everything settles.
   *
   * That is waited for: what is on its way, what the hub stores, and handlers of yours as long as they await nothing but
   * each other, the client and turns of the event loop (promises, up to some `setImmediate` in a row). What waits for
   * a real timer, a file, another process or cryptography (so a client with a token) is not: await it yourself before you
   * go on.
   *
   * Half a minute of this time takes about 10 ms of a processor, an hour about a second.
   *
   * @throws Error where it never settles, since something answers each message with another
   */
  advance(duration: Duration): Promise<void> {
    const ms = msOf('advance', duration)
    return this.afterOthers(() => this.time.advance(ms, () => this.settle()))
  }

  /** Resolves when everything has settled, as for `advance`, and does not move the time. */
  settled(): Promise<void> {
    return this.advance(0)
  }

  /** Cuts connections, as a tunnel does to a train's passengers: what is in transit is lost, and there is no goodbye. */
  cut({ client, duration }: Cut = {}): void {
    const owner = client && this.owners.get(client)
    if (client && !owner) throw new TypeError('hub.connect did not make this client')
    this.network.cut(owner)
    if (duration !== undefined) this.time.setTimeout(this.network.block(owner), msOf('cut', duration))
  }

  /** Closes the clients of `connect` in good order, then the hub. The time moves on as far as that takes. */
  close(): Promise<void> {
    return this.afterOthers(async () => {
      let over = false
      const closing = Promise.all([...this.owners.keys()].map((client) => client.close()))
      const closed = closing.then(() => this.hub.close())
      const done = () => {
        over = true
      }
      closed.then(done, done)
      for (;;) {
        await this.settle()
        if (over) return closed
        this.time.step()
      }
    })
  }

  /** One movement of the time after another, even if the previous one was not awaited. */
  private afterOthers(move: () => Promise<void>): Promise<void> {
    const moved = this.queue.then(move)
    this.queue = moved.catch(() => {})
    return moved
  }

  private async settle(): Promise<void> {
    // What promises still have to do may give the next turn its work: most steps of the time do nothing, and need no more.
    await new Promise<void>((resolve) => process.nextTick(resolve))
    const { idle } = this.broker
    let quiet = 0
    for (let turns = 0; quiet < QUIET_TURNS; turns++) {
      if (turns > MOST_TURNS) throw new Error('It never settles: something answers each message with another')
      await new Promise<void>((resolve) => setImmediate(resolve))
      const signs = this.network.traffic + this.commits
      if (turns === 0 && idle && signs === this.seen) break
      quiet = signs === this.seen && this.broker.idle ? quiet + 1 : 0
      this.seen = signs
    }
    this.lookOut()
  }

  /** The broker looks at the time ten times a second; here what is due in its queues happens at its very moment. */
  private lookOut(): void {
    const at = this.broker.nextTime()
    // Another timer of the same moment ran first: this one is still to come.
    if (at === this.due?.at || this.due?.at === this.now) return
    this.time.clearTimeout(this.due?.timer)
    this.due = undefined
    if (at <= this.now || at === Number.POSITIVE_INFINITY) return
    const pass = () => {
      this.due = undefined
      this.broker.passTime()
    }
    this.due = { at, timer: this.time.setTimeout(pass, at - this.now) }
  }
}

/** Throws `bad_option`. */
function msOf(method: string, duration: Duration): number {
  const ms = durationMs(duration)
  if (ms === undefined) throw new FanfareError('bad_option', `${method}: "duration" is not ${DURATION_WORDS}`)
  return Math.ceil(ms)
}

/** A store that is known to be at work. */
class CountedStore extends MemoryStore {
  private readonly count: () => void

  constructor(count: () => void) {
    super()
    this.count = count
  }

  override commit(changes: readonly Change[]): Promise<void> {
    this.count()
    return super.commit(changes)
  }
}
