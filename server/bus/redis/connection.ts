import { Redis } from 'ioredis'
import type { RedisAddress } from './redis-address.ts'

/** How often a method is looked up until V8 has noticed: about ten times are enough. */
const LOOKUPS = 1000

restoreStrings()

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

/**
 * Makes the methods of strings fast again. A class of `ioredis` extends String, and V8 keeps a prototype as a dictionary once a class has been
 * derived from it. All code of the process that reads strings then takes three times as long. This ends when a method has been looked up
 * on an object with that prototype several times; looking it up on a plain string, which is not an object, does not count.
 */
function restoreStrings(): void {
  const object = Object('')
  for (let n = 0; n < LOOKUPS; n++) object.valueOf()
}
