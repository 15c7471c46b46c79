import { Redis } from 'ioredis'
import type { RedisAddress } from './redis-address.ts'

/** The only file that loads the optional package `ioredis`. A connection that is not made again by itself, and sends nothing twice. */
export function connection(address: RedisAddress, connectTimeout: number): Redis {
  return new Redis({
    ...address,
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    keepAlive: 5_000,
    connectTimeout,
    retryStrategy: () => null,
    sentinelRetryStrategy: () => null,
  })
}
