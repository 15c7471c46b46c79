import type { Buffer } from 'node:buffer'
import type { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { FanfareError } from '../../../shared/errors.ts'
import { checkServers, inTime, known, sever, withAdvice } from '../../bus/redis/connecting.ts'
import { isNotPermitted, Permissions } from '../../bus/redis/permissions.ts'
import type { RedisAddress } from '../../bus/redis/redis-address.ts'
import { leadElsewhere, SentinelWatch } from '../../bus/redis/sentinel-watch.ts'
import { SlotOwner } from '../../bus/redis/slot-owner.ts'
import type { Keys } from './keys.ts'

/** How long one connection may take, in milliseconds. */
const CONNECT_MS = 3_000
/** A call that takes longer is on a connection that is half-open: all of them are short. */
const ANSWER_MS = 5_000
/** Waits between attempts to connect: each twice the last, and a random part of it. */
const FIRST_WAIT_MS = 50
const LONGEST_WAIT_MS = 200
/** Answers of a Redis that cannot be used now, and may be later, or another one in its place. It has done nothing. A command that only waits does not write: a replica answers it differently. */
const NOT_NOW =
  /^(ReplyError: )?-?((READONLY|LOADING|MASTERDOWN|BUSY|TRYAGAIN|CLUSTERDOWN|NOREPLICAS|MISCONF|MOVED|ASK)\b|ERR WAIT cannot be used with replica)/

export type Argument = string | number | Buffer

/** The connection is gone, and with it the answer: what was sent may have been done, unless Redis has refused it. */
export class LinkLost extends Error {
  readonly isRefused: boolean

  constructor(cause: string, isRefused = false) {
    super(cause)
    this.isRefused = isRefused
  }
}

export interface LinkEvents {
  /** It stands, and hears its inbox. What rejects here ends it again. */
  up(): Promise<void>
  down(): void
  /** A connection begins to hear its inbox. Gives what takes that, in order: it does not continue what another connection has heard. */
  hear(): (bytes: Buffer) => void
}

/** What a script is known by once it is loaded. */
type Loaded = Map<string, string>

/**
 * A node's way to Redis: a connection for its turns, in order; one that reads; one that hears; and one that waits for replicas, if any. They live and die
 * together. Nothing is sent again by itself.
 */
export class BrokerLink {
  readonly keys: Keys
  events: LinkEvents = { up: async () => {}, down() {}, hear: () => () => {} }
  isUp = false
  /** Whose inbox is heard. */
  inbox = ''
  private readonly places: SlotOwner
  private readonly watch: SentinelWatch
  private readonly permissions: Permissions
  private readonly log: Logger
  private readonly waits: boolean
  private all: readonly Redis[] = []
  /** Of an attempt to connect. */
  private trying: readonly Redis[] = []
  private readonly loaded = new WeakMap<Redis, Loaded>()
  private retry: NodeJS.Timeout | undefined = undefined
  private failures = 0
  /** How often it has stood again after it was lost. */
  reconnections = 0
  /** Why there is none, or could not be one. */
  cause = 'not connected yet'
  isClosed = false
  private isConnecting = false
  /** Whether what is published reaches replicas by the way of writes: not so in a Redis Cluster. */
  private isStandalone = false
  private readonly waiting = new Set<() => void>()

  /** `waits`: for replicas. */
  constructor(address: RedisAddress, keys: Keys, waits: boolean, log: Logger) {
    this.waits = waits
    this.places = new SlotOwner(address)
    this.watch = new SentinelWatch(address, (host, port) => this.switched(host, port))
    this.permissions = new Permissions(keys.name, address, waits)
    this.keys = keys
    this.log = log
  }

  /** Connects for the first time. Rejects with `cluster_unreachable` and `bad_config`. */
  open(): Promise<void> {
    return this.connect().catch((error) => {
      throw withAdvice(error, this.places.shown)
    })
  }

  /** Whether it stands within a time. */
  standsWithin(ms: number): Promise<boolean> {
    if (this.isUp) return Promise.resolve(true)
    return new Promise((resolve) => {
      const up = () => {
        clearTimeout(timer)
        resolve(true)
      }
      const timer = setTimeout(() => {
        this.waiting.delete(up)
        resolve(false)
      }, ms)
      this.waiting.add(up)
    })
  }

  /** Runs a script that writes. They run in the order of the calls. Rejects with `LinkLost` if its outcome is unknown. */
  turn(script: string, args: readonly Argument[]): Promise<unknown> {
    return this.run(0, script, args)
  }

  /** Runs a script that reads. */
  read(script: string, args: readonly Argument[]): Promise<unknown> {
    return this.run(1, script, args)
  }

  /** Runs commands that read; each answer in the place of its command. */
  async ask(...command: [string, ...Argument[]]): Promise<unknown> {
    return this.guarded(1, (redis) => redis.call(...command))
  }

  /** The same with an answer as it comes: of text or of bytes. */
  async askBytes(...command: [string, ...Argument[]]): Promise<unknown> {
    return this.guarded(1, (redis) => redis.callBuffer(...command))
  }

  /** Resolves to the number of replicas that have what was answered before the call. */
  waitForReplicas(key: string, replicas: number, ms: number): Promise<number> {
    return this.guarded(3, async (redis) => {
      // The replicas get something to wait for, because WAIT concerns what its own connection has written. What is published is not in the file that a write has to be synced to.
      if (!this.isStandalone) await this.evaluate(redis, MARK, [key])
      const [, count] = await Promise.all([this.isStandalone && redis.publish(key, '1'), redis.wait(replicas, ms)])
      return count
    })
  }

  /** Whether the connection that hears is alive: if not, the link is ended. */
  async check(): Promise<void> {
    await this.guarded(2, (redis) => redis.ping())
  }

  /** Ends a link that turned out to be unusable, and begins another. */
  lost(why: string): void {
    const wasUp = this.isUp
    this.drop()
    if (wasUp) {
      const cause = why.replace(/^\w*Error: /, '')
      this.cause = cause
      this.log.warn({ cause }, 'lost Redis, which keeps streams')
      this.events.down()
    }
    // An attempt to connect that fails is followed by another one as it is.
    if (!this.isConnecting) this.connectLater()
  }

  async close(): Promise<void> {
    this.isClosed = true
    this.watch.close()
    clearTimeout(this.retry)
    this.drop()
  }

  /** There is another primary: the old one may hang, and so may an attempt to connect to it. The next attempt is worth no wait. */
  private switched(host: string, port: number): void {
    this.failures = 0
    if (this.isUp) {
      if (leadElsewhere(this.all, host, port)) this.lost(`Sentinel has named another primary, ${host}:${port}`)
    } else if (!this.isConnecting) this.connectLater()
    else if (leadElsewhere(this.trying, host, port)) for (const redis of this.trying) sever(redis)
  }

  /** Connections that are open. */
  get connections(): number {
    return this.all.filter(({ status }) => status === 'ready').length
  }

  private run(which: number, script: string, args: readonly Argument[]): Promise<unknown> {
    return this.guarded(which, (redis) =>
      this.evaluate(redis, script, args).catch((error) => {
        // A right was taken away while the hub ran. The next link is refused, and says what is missing.
        if (!isNotPermitted(error)) throw error
        this.lost(String(error))
        throw new LinkLost(String(error))
      }),
    )
  }

  private async evaluate(redis: Redis, script: string, args: readonly Argument[]): Promise<unknown> {
    // A Redis Cluster that is moving the keys to another node refuses a script if one of its keys is not there, before the script has done anything.
    const keys = [this.keys.meta, this.keys.none]
    const sha = await this.shaOf(redis, script)
    try {
      return await redis.callBuffer('EVALSHA', sha, 2, ...keys, ...args)
    } catch (error) {
      if (!String(error).includes('NOSCRIPT')) throw error
      // The scripts were flushed, so this call did nothing.
      this.loaded.get(redis)?.clear()
      return redis.callBuffer('EVALSHA', await this.shaOf(redis, script), 2, ...keys, ...args)
    }
  }

  private async shaOf(redis: Redis, script: string): Promise<string> {
    const loaded = this.loaded.get(redis) ?? new Map<string, string>()
    this.loaded.set(redis, loaded)
    let sha = loaded.get(script)
    if (sha === undefined) {
      sha = String(await redis.script('LOAD', script))
      loaded.set(script, sha)
    }
    return sha
  }

  private async guarded<Answer>(which: number, ask: (redis: Redis) => Promise<Answer>): Promise<Answer> {
    const redis = this.all[which]
    if (!redis) throw new LinkLost('this hub is not connected to Redis')
    try {
      return await answered(ask(redis))
    } catch (error) {
      const text = String(error)
      if (/\bOOM\b/.test(text)) throw new FanfareError('storage_full', MEMORY_FULL)
      if (text.startsWith('ReplyError') && !NOT_NOW.test(text)) throw error
      if (this.all[which] === redis) {
        this.places.follows(text)
        this.lost(text)
      }
      // An error in the middle of a script names the script.
      throw new LinkLost(text, NOT_NOW.test(text) && !text.includes('script:'))
    }
  }

  private async connect(): Promise<void> {
    this.isConnecting = true
    try {
      await this.places.reach(() => this.tryToConnect())
    } finally {
      this.isConnecting = false
    }
  }

  private async tryToConnect(): Promise<void> {
    const { connection } = await import('../../bus/redis/connection.ts')
    const all = Array.from({ length: this.waits ? 4 : 3 }, () =>
      connection(this.watch.preferred(this.places.address), CONNECT_MS),
    )
    this.trying = all
    const hearing = all[2] as Redis
    let cause: unknown
    for (const redis of all) {
      redis.on('error', (error) => {
        cause ??= error
      })
    }
    const hear = this.events.hear()
    hearing.on('messageBuffer', (_channel: Buffer, bytes: Buffer) => hear(bytes))
    try {
      await inTime(Promise.all(all.map((redis) => redis.connect())))
      await inTime(checkServers(all, this.keys.meta, this.permissions))
      await inTime(hearing.subscribe(this.keys.inboxOf(this.inbox)))
      this.isStandalone = /^redis_mode:standalone/m.test(await (all[0] as Redis).info('server'))
      if (this.isClosed) throw new FanfareError('shutting_down')
      this.all = all
      await inTime(this.events.up())
      const isWhole = this.all === all && all.every(({ status }) => status === 'ready')
      if (!isWhole) throw new LinkLost('the connection was closed')
    } catch (error) {
      this.all = []
      for (const redis of all) sever(redis)
      throw known(cause ?? error, this.places.shown, this.permissions)
    }
    for (const redis of all) {
      redis.on('close', () => {
        if (all === this.all) this.lost(cause ? String(cause) : 'the connection was closed')
      })
    }
    this.failures = 0
    this.isUp = true
    this.watch.start()
    for (const up of this.waiting) up()
    this.waiting.clear()
  }

  private connectLater(): void {
    if (this.isClosed) return
    clearTimeout(this.retry)
    const wait = Math.min(FIRST_WAIT_MS * 2 ** this.failures++, LONGEST_WAIT_MS)
    this.retry = setTimeout(
      () => {
        this.connect().then(
          () => {
            this.reconnections++
            this.log.info('found Redis again, which keeps streams')
          },
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
    const isNews = error.message !== this.cause
    this.cause = error.message
    if (isNews && (error as Partial<FanfareError>).code === 'bad_config') {
      this.log.error({ err: error }, 'this Redis cannot be used')
    } else this.log.debug({ err: error }, 'Redis cannot be reached')
  }

  private drop(): void {
    const { all } = this
    this.isUp = false
    this.all = []
    for (const redis of all) sever(redis)
  }
}

/** Something for replicas to wait for, also while there is no memory: acks have to become safe then. */
const MARK = `#!lua flags=allow-oom
redis.call('SET', ARGV[1], '1', 'PX', 60000)`

const MEMORY_FULL =
  'The memory of Redis is full (maxmemory); nothing was stored. Trim streams, or give Redis more memory.'

async function answered<Answer>(answer: Promise<Answer>): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`Redis has not answered for ${ANSWER_MS} ms`)), ANSWER_MS)
  })
  return Promise.race([answer, tooLate]).finally(() => clearTimeout(timer))
}
