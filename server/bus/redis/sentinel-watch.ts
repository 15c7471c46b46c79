import type { Redis } from 'ioredis'
import type { RedisAddress } from './redis-address.ts'

const CONNECT_MS = 3_000
/** `name old-host old-port host port` */
const SWITCHED = '+switch-master'
/** `slave id host port @ name old-host old-port`: only the sentinel that leads the failover says so, and the other only after all replicas have followed. */
const PROMOTED = '+promoted-slave'
/** Between attempts to reach a sentinel, in milliseconds: of one after the other. */
const RETRY_MS = 1_000

/**
 * Hears from one of the sentinels that there is another primary. Without it, a link to a primary that hangs would be noticed only once an answer is overdue,
 * and an attempt to connect to it once that is overdue, too.
 */
export class SentinelWatch {
  private readonly sentinels: NonNullable<RedisAddress['sentinels']>
  private readonly address: RedisAddress
  private readonly onSwitch: (host: string, port: number) => void
  private at = 0
  private redis: Redis | undefined = undefined
  private retry: NodeJS.Timeout | undefined = undefined
  private isStarted = false
  private isClosed = false

  constructor(address: RedisAddress, onSwitch: (host: string, port: number) => void) {
    this.address = address
    this.sentinels = address.sentinels ?? []
    this.onSwitch = onSwitch
  }

  /** From the first link on. */
  start(): void {
    if (this.isStarted || this.sentinels.length === 0) return
    this.isStarted = true
    void this.connect()
  }

  /** The same address, with the sentinel that is heard as the first that is asked. */
  preferred(address: RedisAddress): RedisAddress {
    if (!address.sentinels || !this.redis) return address
    const { sentinels, at } = this
    return { ...address, sentinels: [...sentinels.slice(at), ...sentinels.slice(0, at)] }
  }

  close(): void {
    this.isClosed = true
    clearTimeout(this.retry)
    this.redis?.disconnect()
  }

  private async connect(): Promise<void> {
    const { connection } = await import('./connection.ts')
    const { sentinelTLS: tls, name } = this.address
    const redis = connection({ ...this.sentinels[this.at], ...(tls && { tls }) }, CONNECT_MS)
    redis.on('error', () => {})
    redis.on('message', (channel: string, text: string) => {
      const words = text.split(' ')
      const [host, port] = words.slice(channel === PROMOTED ? 2 : 3)
      if (words[channel === PROMOTED ? 5 : 0] === name) this.onSwitch(host as string, Number(port))
    })
    try {
      await redis.connect()
      await redis.subscribe(SWITCHED, PROMOTED)
      if (this.isClosed) throw new Error('closed')
      this.redis = redis
      redis.on('close', () => this.connectLater())
    } catch {
      redis.disconnect()
      this.connectLater()
    }
  }

  private connectLater(): void {
    this.redis = undefined
    if (this.isClosed) return
    this.at = (this.at + 1) % this.sentinels.length
    this.retry = setTimeout(() => void this.connect(), RETRY_MS).unref()
  }
}

/** Whether one of some connections leads to another place. One that is still being made may lead anywhere. */
export function leadElsewhere(all: readonly Redis[], host: string, port: number): boolean {
  return all.some(({ stream }) => {
    if (stream?.remotePort === undefined) return false
    return stream.remotePort !== port || stream.remoteAddress?.replace(/^::ffff:/, '') !== host
  })
}
