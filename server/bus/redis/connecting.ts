import type { Redis } from 'ioredis'
import { FanfareError } from '../../../shared/errors.ts'
import { isNotPermitted, type Permissions } from './permissions.ts'
import { type RedisAddress, whereRedisIs } from './redis-address.ts'

// What the links of bus and broker do alike when they connect

/** How long an attempt to connect may take in all. A Redis that is stopped still accepts connections, and then answers nothing. */
const CONNECT_MS = 10_000
const OLDEST_REDIS = 7

/** Whether connections lead to one Redis that is new enough, a primary, and permits what a hub needs. In a failover some of them may have reached the old one, and others the new one. */
export async function checkServers(all: readonly Redis[], key: string, permissions: Permissions): Promise<void> {
  const runs = await Promise.all(all.map((redis) => checkServer(redis, key)))
  if (new Set(runs).size > 1) throw new Error('the connections lead to different servers')
  // All of them have the same user.
  await permissions.check(all[0] as Redis)
}

/** Whether it is the node of a Redis Cluster that holds a key, if it is one of those. Gives the run id of the server. */
async function checkServer(redis: Redis, key: string): Promise<string> {
  const { db } = redis.options
  // `ioredis` goes on in database 0 if there is none of that number, with the data of another cluster perhaps.
  if (db) await redis.select(db).catch(unlessNotPermitted)
  // Another node of a Redis Cluster answers MOVED.
  await redis.exists(key).catch(unlessNotPermitted)
  const info = (await redis.info().catch(unlessNotPermitted)) ?? ''
  const version = /redis_version:((\d+)\.\S*)/.exec(info)
  if (version && Number(version[2]) < OLDEST_REDIS) {
    throw new FanfareError(
      'bad_config',
      `cluster needs Redis ${OLDEST_REDIS}.0 or newer (got ${version[1]}). Upgrade Redis, or use another one.`,
    )
  }
  // What is published on the primary reaches its replicas, but not the other way round.
  if (/^role:slave/m.test(info)) throw new Error('it is a replica. Name the primary, or its sentinels')
  return /^run_id:(\w+)/m.exec(info)?.[1] ?? ''
}

/** A lack of permissions is reported for all of them at once. */
function unlessNotPermitted(error: unknown): undefined {
  if (!isNotPermitted(error)) throw error
}

/** The error of the table for what Redis or the network said. */
export function known(error: unknown, address: RedisAddress, permissions: Permissions): FanfareError {
  if (error instanceof FanfareError) return error
  const text = String(error).replace(/^\w*Error: |\.$/g, '')
  if (isNotPermitted(error)) return permissions.refusal(text)
  if (/WRONGPASS|NOAUTH|invalid username-password/.test(text)) {
    return new FanfareError('bad_config', `Redis refuses the user or password of the cluster: ${text}.`)
  }
  if (/DB index is out of range/.test(text)) {
    const text = `Redis has no database ${address.db}. Its setting "databases" is how many it has: name a lower number in cluster.`
    return new FanfareError('bad_config', text)
  }
  const what = error instanceof Error && error.name === 'ReplyError' ? 'refuses a command' : 'cannot be reached'
  return new FanfareError('cluster_unreachable', `Redis at ${whereRedisIs(address)} ${what}: ${text}.`)
}

/** Adds what to do if a first attempt fails because the URL may be wrong about TLS. Neither side says so: each waits for the other, or hangs up. */
export function withAdvice(error: FanfareError, address: RedisAddress): FanfareError {
  const advice = error.code === 'cluster_unreachable' ? adviceOnTls(error.message, address) : undefined
  return advice === undefined ? error : new FanfareError(error.code, `${error.message} ${advice}`)
}

function adviceOnTls(text: string, { tls }: RedisAddress): string | undefined {
  if (!tls) {
    const isHungUp = /ECONNRESET|EPIPE|Connection is closed/.test(text)
    return isHungUp ? 'If it speaks TLS, begin the URL in cluster with rediss instead of redis.' : undefined
  }
  if (/self-signed certificate|unable to (get|verify)/.test(text)) {
    return 'Name the CA of its certificate in clusterCaFile.'
  }
  const isNoTls =
    /ETIMEDOUT|ECONNRESET|EPROTO|wrong version number|packet length|before secure TLS|Connection is closed/.test(text)
  return isNoTls ? 'If it does not speak TLS, begin the URL in cluster with redis instead of rediss.' : undefined
}

/** Rejects if it takes too long to connect. */
export async function inTime(connected: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`it has not answered for ${CONNECT_MS} ms`)), CONNECT_MS)
  })
  await Promise.race([connected, tooLate]).finally(() => clearTimeout(timer))
}

/**
 * Ends a connection, now: `ioredis` waits for the other side, and until then takes what that answers and publishes. It may be a primary that was replaced while
 * it hung, and that goes on.
 */
export function sever(redis: Redis): void {
  redis.removeAllListeners('messageBuffer')
  redis.disconnect()
  redis.stream?.destroy()
}
