import type { ConnectionOptions } from 'node:tls'
import { FanfareError } from '../../../shared/errors.ts'

/** Where a Redis is, as `ioredis` takes it. */
export interface RedisAddress {
  readonly host?: string
  readonly port?: number
  /** Other nodes of a Redis Cluster, of which `host` and `port` are one. */
  readonly others?: readonly { host: string; port: number }[]
  readonly db?: number
  readonly username?: string
  readonly password?: string
  readonly tls?: ConnectionOptions
  /** Instead of host and port, with the name of the primary that they watch. */
  readonly sentinels?: { host: string; port: number }[]
  readonly name?: string
  /** TLS to the sentinels, and after them to Redis: `ioredis` does without it otherwise, whatever `tls` says. */
  readonly sentinelTLS?: ConnectionOptions
  readonly enableTLSForSentinelMode?: boolean
}

const REDIS_PORT = 6379
const SENTINEL_PORT = 26379

/**
 * Reads `redis://user:password@host:6379/0`, `rediss://…` with TLS, and `redis+sentinel://user:password@host1:26379,host2:26379/name`,
 * `redis+cluster://user:password@host1:6379,host2:6379`, and both with `rediss+…`. `password` and `ca` come from files. Throws `bad_config`.
 */
export function redisAddress(url: string, password?: string, ca?: string): RedisAddress {
  const match = /^redis(s?)(\+sentinel|\+cluster)?:\/\/(?:([^@]*)@)?([^/]+)(?:\/([^?]*))?$/.exec(url)
  if (!match) throw wrong()
  const [, secure, kind, user = '', hosts = '', path = ''] = match
  const [username, given] = user.split(':').map(decodeURIComponent)
  const tls: ConnectionOptions = ca === undefined ? {} : { ca }
  const common = {
    ...(username && { username }),
    ...((password ?? given) && { password: password ?? given }),
    ...(secure && { tls }),
  } as RedisAddress
  if (kind === '+cluster') {
    // A Redis Cluster has no numbered databases.
    if (path) throw wrong()
    const [first, ...others] = hosts.split(',').map((host) => hostAndPort(host, REDIS_PORT))
    return { ...common, ...first, others }
  }
  if (kind === '+sentinel') {
    if (!path) throw wrong()
    const sentinels = hosts.split(',').map((host) => hostAndPort(host, SENTINEL_PORT))
    const secured = secure ? { sentinelTLS: tls, enableTLSForSentinelMode: true } : {}
    return { ...common, ...secured, sentinels, name: decodeURIComponent(path) }
  }
  if (!/^\d*$/.test(path)) throw wrong()
  return { ...common, ...hostAndPort(hosts, REDIS_PORT), ...(path && { db: Number(path) }) }
}

/** For people; without user and password. */
export function whereRedisIs({ host, port, sentinels, others = [] }: RedisAddress): string {
  return (sentinels ?? [{ host, port }, ...others]).map((one) => `${one.host}:${one.port}`).join(', ')
}

function hostAndPort(text: string, standard: number): { host: string; port: number } {
  const match = /^(\[[^\]]+\]|[^:]+)(?::(\d{1,5}))?$/.exec(text)
  if (!match) throw wrong()
  return { host: (match[1] as string).replace(/^\[|\]$/g, ''), port: match[2] ? Number(match[2]) : standard }
}

/** The URL may hold a password: it is not repeated. */
function wrong(): FanfareError {
  return new FanfareError(
    'bad_config',
    'cluster must be a URL like redis://user:password@host:6379, rediss://host, redis+sentinel://host1:26379,host2:26379/name-of-the-primary, or redis+cluster://host1:6379,host2:6379.',
  )
}
