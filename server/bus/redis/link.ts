import type { Buffer } from 'node:buffer'
import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { FanfareError } from '../../../shared/errors.ts'
import { checkServers, inTime, known, sever, withAdvice } from './connecting.ts'
import { isNotPermitted, type Permissions } from './permissions.ts'
import type { RedisAddress } from './redis-address.ts'
import { leadElsewhere, SentinelWatch } from './sentinel-watch.ts'
import { SlotOwner } from './slot-owner.ts'

/** A node that has had no proof of its link for so long takes it for lost, in milliseconds. Shorter than the time after which others do. */
const PROOF_MS = 3_000
/** Waits between attempts to connect, in milliseconds: each twice the last, and a random part of it. */
const FIRST_WAIT_MS = 50
const LONGEST_WAIT_MS = 2_000
/** Bytes that Redis has not confirmed: beyond them, nothing more is sent until it has. */
const MAX_UNCONFIRMED_BYTES = 16 * 1024 * 1024

export interface LinkEvents {
  /** It stands, and hears its channels. */
  up(): void
  down(): void
  received(bytes: Buffer): void
}

export interface LinkParts {
  /** Lists the nodes. */
  readonly hash: string
  readonly channels: readonly string[]
  readonly events: LinkEvents
  readonly log: Logger
}

/**
 * A node's way to Redis: one connection that publishes and one that hears. They live and die together: either alone would let a node
 * miss what it believes to get, or say what it believes to be heard. Nothing is sent again, and nothing waits while it is down.
 */
export class RedisLink {
  /** Counts the links, so that what an earlier one sent can be recognized. */
  number = 0
  isUp = false
  private readonly places: SlotOwner
  private readonly watch: SentinelWatch
  private readonly permissions: Permissions
  /** The hash that lists the nodes: in a Redis Cluster this connects to the node that holds it. */
  private readonly hash: string
  private readonly channels: readonly string[]
  private readonly events: LinkEvents
  private readonly log: Logger
  private commands: Redis | undefined = undefined
  /** Of an attempt to connect. */
  private trying: readonly Redis[] = []
  private hearing: Redis | undefined = undefined
  private retry: NodeJS.Timeout | undefined = undefined
  private failures = 0
  /** Why the last attempt to connect failed. */
  private refusal = ''
  private unconfirmedBytes = 0
  private isClosed = false
  /** When this node last heard itself over Redis, which proves both connections. */
  provenAt = 0
  sentBytes = 0
  receivedBytes = 0
  /** When this node said what it has not heard yet: its heartbeats, which come back in their order. */
  private unheard: number[] = []
  private lastLagMs = 0

  constructor(address: RedisAddress, permissions: Permissions, parts: LinkParts) {
    const { hash, channels, events, log } = parts
    this.places = new SlotOwner(address)
    this.watch = new SentinelWatch(address, (host, port) => this.switched(host, port))
    this.permissions = permissions
    this.hash = hash
    this.channels = channels
    this.events = events
    this.log = log
  }

  /** Connects for the first time. Rejects with `bad_config` and `cluster_unreachable`. */
  async open(): Promise<void> {
    await this.connect().catch((error) => {
      throw withAdvice(error, this.places.shown)
    })
  }

  /** This node says something that it will hear. */
  proving(): void {
    this.unheard.push(performance.now())
  }

  /** This node heard itself. */
  proven(): void {
    this.provenAt = performance.now()
    const saidAt = this.unheard.shift()
    if (saidAt !== undefined) this.lastLagMs = this.provenAt - saidAt
  }

  /** How long it takes from this node through Redis and back: of the last heartbeat that came back, or of one that is later by now. */
  get lagMs(): number {
    const [saidAt] = this.unheard
    return saidAt === undefined ? this.lastLagMs : Math.max(this.lastLagMs, performance.now() - saidAt)
  }

  /** Ends a link that gives no sign of life, and begins another. */
  check(): void {
    if (this.isUp && performance.now() - this.provenAt > PROOF_MS) this.lost('it did not hear itself in time')
  }

  /** Whether there is room for more. */
  get hasRoom(): boolean {
    return this.unconfirmedBytes < MAX_UNCONFIRMED_BYTES
  }

  /** Sends, if the link is up. What becomes of it, `seen` of the receivers tells. */
  publish(channel: string, bytes: Buffer): void {
    const { commands } = this
    if (!commands) return
    this.unconfirmedBytes += bytes.length
    this.sentBytes += bytes.length
    const done = () => {
      this.unconfirmedBytes -= bytes.length
    }
    commands.publish(channel, bytes).then(done, (error) => {
      done()
      // A refusal, for lack of a permission say, would lose what is said with no end of the connection.
      if (commands === this.commands) this.lost(String(error))
    })
  }

  /** Which of some channels have a listener. Undefined if the link is down. */
  async listened(channels: readonly string[]): Promise<ReadonlySet<string> | undefined> {
    const counts = await this.commands?.pubsub('NUMSUB', ...channels).catch(() => undefined)
    if (!counts) return undefined
    const pairs = counts as (string | number)[]
    return new Set(channels.filter((channel) => Number(pairs[pairs.indexOf(channel) + 1]) > 0))
  }

  /** Sets this node's entry in a hash. Rejects with `cluster_unreachable` if Redis refuses it for another reason than a lack of memory, or the link fails. */
  async enter(hash: string, field: string, value: string): Promise<void> {
    const { commands } = this
    await commands?.hset(hash, field, value).catch((error) => {
      // There is no memory for it. It is set again with each beat, and the others have heard of this node anyway.
      if (/^\w*Error: OOM\b/.test(String(error))) return
      // A primary that has become a replica keeps its connections, and hears nothing of what is published on the new one. In a Redis Cluster another
      // node may hold the list now.
      const isElsewhere = /^\w*Error: READONLY/.test(String(error)) || this.places.follows(error)
      // A right was taken away: the next link is refused, and says what is missing.
      if ((isElsewhere || isNotPermitted(error)) && commands === this.commands) this.lost(String(error))
      throw known(error, this.places.shown, this.permissions)
    })
  }

  async entries(hash: string): Promise<Record<string, string>> {
    return (await this.commands?.hgetall(hash)) ?? {}
  }

  async leave(hash: string, fields: readonly string[]): Promise<void> {
    if (fields.length > 0) await this.commands?.hdel(hash, ...fields).catch(() => undefined)
  }

  /** What was published before is sent. */
  async close(): Promise<void> {
    this.isClosed = true
    this.watch.close()
    clearTimeout(this.retry)
    const { commands } = this
    this.isUp = false
    await Promise.race([commands?.ping().catch(() => undefined), passed(PROOF_MS)])
    this.drop()
  }

  private connect(): Promise<void> {
    return this.places.reach(() => this.tryToConnect())
  }

  private async tryToConnect(): Promise<void> {
    const { connection } = await import('./connection.ts')
    const address = this.watch.preferred(this.places.address)
    const commands = connection(address, PROOF_MS)
    const hearing = connection(address, PROOF_MS)
    this.trying = [commands, hearing]
    let cause: unknown
    for (const redis of [commands, hearing]) {
      redis.on('error', (error) => {
        cause ??= error
      })
    }
    try {
      await inTime(this.begin(commands, hearing))
      if (this.isClosed) throw new FanfareError('shutting_down')
    } catch (error) {
      for (const redis of [commands, hearing]) sever(redis)
      throw known(cause ?? error, this.places.shown, this.permissions)
    }
    this.commands = commands
    this.hearing = hearing
    for (const redis of [commands, hearing]) {
      redis.on('close', () => {
        if (commands === this.commands) this.lost(cause ? String(cause) : 'the connection was closed')
      })
    }
    this.number++
    this.failures = 0
    this.refusal = ''
    this.unconfirmedBytes = 0
    this.unheard = []
    this.isUp = true
    this.watch.start()
    this.proven()
    this.events.up()
  }

  private async begin(commands: Redis, hearing: Redis): Promise<void> {
    await Promise.all([commands.connect(), hearing.connect()])
    await checkServers([commands, hearing], this.hash, this.permissions)
    hearing.on('messageBuffer', (_channel: Buffer, bytes: Buffer) => {
      this.receivedBytes += bytes.length
      this.events.received(bytes)
    })
    await hearing.subscribe(...this.channels)
  }

  /** There is another primary: the old one may hang, and so may an attempt to connect to it. The next attempt is worth no wait. */
  private switched(host: string, port: number): void {
    this.failures = 0
    if (this.retry) this.connectLater()
    else if (!leadElsewhere(this.trying, host, port)) return
    else if (this.isUp) this.lost(`Sentinel has named another primary, ${host}:${port}`)
    else for (const redis of this.trying) sever(redis)
  }

  private lost(cause: string): void {
    this.drop()
    if (this.isUp) {
      this.isUp = false
      this.log.warn({ cause }, 'cut off from the other nodes')
      this.events.down()
    }
    this.connectLater()
  }

  private connectLater(): void {
    if (this.isClosed) return
    clearTimeout(this.retry)
    const wait = Math.min(FIRST_WAIT_MS * 2 ** this.failures++, LONGEST_WAIT_MS)
    this.retry = setTimeout(
      () => {
        this.retry = undefined
        this.connect().then(
          () => this.log.info('back among the other nodes'),
          (error: Error) => {
            this.refused(error)
            this.connectLater()
          },
        )
      },
      wait * (0.5 + Math.random() / 2),
    )
  }

  /** A Redis that is there and cannot be used needs an operator, so it is reported, once. */
  private refused(error: Error): void {
    const isNews = error.message !== this.refusal
    this.refusal = error.message
    if (isNews && (error as Partial<FanfareError>).code === 'bad_config') {
      this.log.error({ err: error }, 'the Redis of the other nodes cannot be used')
    } else this.log.debug({ err: error }, 'the other nodes cannot be reached')
  }

  private drop(): void {
    const { commands, hearing } = this
    this.commands = undefined
    this.hearing = undefined
    if (commands) sever(commands)
    if (hearing) sever(hearing)
  }
}

function passed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref())
}
