import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type Hub, type HubOptions, startHub } from '../../server/index.ts'
import { command, durableRedis, RIGHTS, redisOf } from '../setup/cluster.ts'
import { RedisServer } from '../setup/redis-server.ts'

const PATTERNS = RIGHTS.filter((right) => /^[~&]/.test(right))
const COMMANDS = RIGHTS.filter((right) => right.startsWith('+'))
const SOURCES = new URL('../../server/', import.meta.url).pathname

describe('a hub', () => {
  let redis: RedisServer

  beforeAll(async () => {
    redis = await RedisServer.start()
    return () => redis.stop()
  })

  it('has streams, queues, dead letters and cursors with the permissions of the documentation', async () => {
    const durable = await durableRedis()
    await permit(durable, RIGHTS)
    const [a, b] = await Promise.all([hubOn(durable), hubOn(durable)])
    const [publisher, reader] = [a.connect(), b.connect()]
    await publisher.admin.streams.declare({ name: 's', topics: ['jobs.#'], maxMessages: 3 })
    const bindings = [{ topic: 'jobs.#' }]
    await publisher.admin.queues.declare({ name: 'q', bindings, maxAttempts: 2, backoff: { base: 1 } })
    const tries: string[] = []
    reader.consume<number>('q', ({ data, attempt }) => {
      tries.push(`${data}.${attempt}`)
      if (data === 2) throw new Error('not this one')
    })
    const seen: number[] = []
    const live = reader.subscribe<number>('live', ({ data }) => void seen.push(data))
    await live.ready
    await publisher.publish('live', 0)
    for (const number of [1, 2, 3, 4]) await publisher.publish('jobs.a', number, { key: `k${number}`, id: `${number}` })
    await publisher.publish('jobs.b', 5, { delay: 10, priority: 9 })
    await expect.poll(() => tries.toSorted()).toEqual(['1.1', '2.1', '2.2', '3.1', '4.1', '5.1'])
    expect(seen).toEqual([0])
    await expect.poll(() => publisher.admin.queues.deadLetters.count('q')).toBe(1)
    await reader.admin.queues.deadLetters.redrive('q')
    await expect.poll(() => publisher.admin.queues.deadLetters.count('q')).toBe(1)
    await publisher.admin.queues.deadLetters.purge('q')
    const replayed: number[] = []
    const replay = reader.subscribe<number>('jobs.#', ({ data }) => void replayed.push(data), {
      from: 'earliest',
      cursor: 'c',
    })
    await expect.poll(() => replayed).toEqual([3, 4, 5])
    await replay.unsubscribe()
    await publisher.admin.queues.delete('q')
    await publisher.admin.streams.delete('s')
  })

  it('uses no command that the documentation does not permit', () => {
    const used = new Set<string>()
    for (const folder of ['broker/redis', 'bus/redis'].map((path) => join(SOURCES, path))) {
      const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
      const text = files.map((file) => readFileSync(join(folder, file), 'utf8')).join('\n')
      for (const [, name = ''] of text.matchAll(/(?:\bcall|pcall|\.ask|\.askBytes)\('([A-Z]+)'/g)) used.add(name)
    }
    expect(used.size).toBeGreaterThan(40)
    const permitted = COMMANDS.map((right) => right.slice(1).replace(/\|.*/, '').toUpperCase())
    expect([...used].filter((name) => !permitted.includes(name))).toEqual([])
  })

  it.each(COMMANDS.filter((right) => right !== '+config|get'))(
    'without %s names it, and what permits it',
    async (right) => {
      await permit(
        redis,
        RIGHTS.filter((each) => each !== right),
      )
      const error = await refusal(redis)
      expect(error).toMatchObject({ code: 'bad_config' })
      const name = right.slice(1)
      // Without scripts, nothing tells whether more is missing.
      if (name === 'script|load' || name === 'evalsha')
        expect(error.message).toMatch(`'${name}' command. If the user has`)
      else expect(error.message).toMatch(new RegExp(`needs: ${name.replace('|', ' ').toUpperCase()}\\. `))
      expect(error.message).toMatch(/Permit it in Redis: ACL SETUSER hub /)
      expect(error.message.split(' ')).toContain(right)
      await cured(redis, error)
    },
  )

  it.each(PATTERNS)('without %s names it, and what permits it', async (pattern) => {
    await permit(
      redis,
      RIGHTS.filter((each) => each !== pattern),
    )
    const error = await refusal(redis)
    const kind = pattern.startsWith('~') ? 'keys' : 'channels'
    expect(error.message).toContain(
      `needs: ${kind} ${pattern.slice(1)}. Permit it in Redis: ACL SETUSER hub ${pattern}`,
    )
    await cured(redis, error)
  })

  it.each([
    ['@stream', 'XADD, XDEL, XLEN, XRANGE, XTRIM'],
    ['@hash', 'HDEL, HGETALL, HSET, HEXISTS, HGET, HINCRBY, HLEN, HMGET, HSCAN, HSETNX'],
    ['@set', 'SADD, SCARD, SISMEMBER, SMEMBERS, SMISMEMBER, SRANDMEMBER, SREM'],
    ['@list', 'LINDEX, LPOP, LPUSH, LRANGE, RPUSH'],
  ])('without %s names each command that is missing', async (category, names) => {
    await permit(redis, ['on', '>secret', ...PATTERNS, '+@all', `-${category}`])
    const error = await refusal(redis)
    expect(error.message).toContain(`needs: ${names}. Permit it`)
    await cured(redis, error)
  })

  it('without any permission quotes the rule of the documentation', async () => {
    await permit(redis, ['on', '>secret'])
    const { message } = await refusal(redis)
    const told = message.slice(message.indexOf('ACL SETUSER')).split(' ').slice(3)
    expect(told.toSorted()).toEqual([...PATTERNS, ...COMMANDS].filter((right) => right !== '+config|get').toSorted())
  })

  it('with all keys and channels names only the missing commands', async () => {
    await permit(redis, ['on', '>secret', 'allkeys', 'allchannels', '-@all', '+script|load', '+evalsha', '+publish'])
    const error = await refusal(redis)
    expect(error.message).toContain('needs: EXISTS, HDEL, ')
    expect(error.message).not.toMatch(/[~&]/)
    await cured(redis, error)
  })

  it.each([
    ['allchannels', /^&/, ['-publish', '-subscribe']],
    ['allkeys or allchannels', /^[~&]/, ['-evalsha']],
  ])(
    'that cannot tell if its Redis user has %s says which patterns to leave out then',
    async (flags, signs, without) => {
      await permit(redis, ['on', '>secret', 'allkeys', 'allchannels', '+@all', ...without])
      const error = await refusal(redis)
      const patterns = PATTERNS.filter((pattern) => signs.test(pattern))
      expect(error.message).toContain(`If the user has ${flags} already, leave out ${patterns.join(' ')}. Permit it`)
      const words = error.message.split(' ').filter((word) => !PATTERNS.includes(word))
      await cured(redis, { ...error, message: words.join(' ') })
    },
  )

  it('names the keys that its Redis user can read but not write', async () => {
    await permit(
      redis,
      RIGHTS.map((right) => right.replace(/^~\{/, '%R~{')),
    )
    const error = await refusal(redis)
    expect(error.message).toContain('needs: keys {fanfare}:*. Permit it in Redis: ACL SETUSER hub ~{fanfare}:*')
    await cured(redis, error)
  })

  it('without SELECT says that it cannot choose a database', async () => {
    await permit(redis, RIGHTS)
    const { message } = await refusal(redis, '/3')
    expect(message).toMatch(/'select' command\. .*Permit it in Redis: ACL SETUSER hub .*\+select/)
  })

  it('refuses a wrong password in one sentence', async () => {
    await permit(redis, [...RIGHTS, 'resetpass', '>another'])
    const error = await refusal(redis)
    expect(error).toMatchObject({ code: 'bad_config' })
    expect(error.message).toMatch(/refuses the user or password of the cluster: WRONGPASS [^.]*\.$/)
  })

  it('without CONFIG GET has no streams, and says what permits them', async () => {
    const durable = await durableRedis()
    await permit(
      durable,
      RIGHTS.filter((right) => right !== '+config|get'),
    )
    const hub = await hubOn(durable)
    const declared = hub.connect().admin.streams.declare({ name: 's', topics: ['a'] })
    await expect(declared).rejects.toThrow(/does not permit CONFIG GET.*Permit it \(ACL SETUSER with \+config\|get\)/)
  })

  it('that loses a permission is not ready, says why, and goes on when it is permitted again', async () => {
    const own = await redisOf()
    await permit(own, RIGHTS)
    const hub = await hubOn(own, { clusterDurability: 'relaxed' })
    const client = hub.connect()
    await client.admin.streams.declare({ name: 's', topics: ['a'] })
    await client.publish('a', 1)
    await command(own, 'ACL', 'SETUSER', 'hub', '-hset', '-zadd')
    await expect(client.publish('a', 0)).rejects.toMatchObject({
      code: expect.stringMatching(/^(outcome_unknown|cluster_unreachable)$/),
    })
    const ready = async () => (await fetch(`http://127.0.0.1:${hub.port}/readyz`)).text()
    await expect.poll(ready, { timeout: 8_000 }).toMatch(/needs: HSET, ZADD\. Permit it in Redis/)
    await command(own, 'ACL', 'SETUSER', 'hub', '+hset', '+zadd')
    await expect.poll(() => client.publish('a', 2).then(() => 'stored', String), { timeout: 12_000 }).toBe('stored')
    const seen: number[] = []
    client.subscribe<number>('a', ({ data }) => void seen.push(data), { from: 'earliest' })
    await expect.poll(() => seen.at(-1)).toBe(2)
  })

  it('that loses a permission does not take a queue for damaged', async () => {
    const own = await redisOf()
    await permit(own, RIGHTS)
    const hub = await hubOn(own, { clusterDurability: 'relaxed' })
    const client = hub.connect()
    await client.admin.queues.declare({ name: 'q', bindings: [{ topic: 'a' }] })
    await client.publish('a', 1, { delay: 3_600_000 })
    await command(own, 'ACL', 'SETUSER', 'hub', '-zadd', '-zcard')
    await expect(client.publish('a', 2)).rejects.toMatchObject({ code: 'outcome_unknown' })
    await command(own, 'ACL', 'SETUSER', 'hub', '+zadd', '+zcard')
    await expect.poll(() => client.publish('a', 3).then(() => 'stored', String), { timeout: 12_000 }).toBe('stored')
    const metrics = await (await fetch(`http://127.0.0.1:${hub.port}/metrics`)).text()
    expect(metrics).not.toMatch(/^fanfare_redis_damaged_total\S* [1-9]/m)
  })
})

async function permit(redis: RedisServer, rights: readonly string[]): Promise<void> {
  await command(redis, 'ACL', 'SETUSER', 'hub', 'reset', ...rights)
}

function optionsFor({ url }: RedisServer, path = ''): HubOptions {
  return { port: 0, engine: 'ws', cluster: `${url.replace('//', '//hub:secret@')}${path}` }
}

async function hubOn(redis: RedisServer, options: HubOptions = {}): Promise<Hub> {
  const hub = await startHub({ ...optionsFor(redis), ...options })
  onTestFinished(() => hub.close())
  return hub
}

/** Why a hub that waits for replicas does not start. */
async function refusal(redis: RedisServer, path = ''): Promise<Error> {
  const hub = await startHub({ ...optionsFor(redis, path), clusterReplicas: 1 }).catch((error: Error) => error)
  if (hub instanceof Error) return hub
  await hub.close()
  throw new Error('The hub has started')
}

/** What a refusal says permits what was missing: no permission is missing after it. */
async function cured(redis: RedisServer, { message }: Error): Promise<void> {
  const rule = message.slice(message.indexOf('ACL SETUSER')).split(' ')
  await command(redis, rule[0] as string, ...rule.slice(1))
  await hubOn(redis)
}
