import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { setTimeout as passed } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  clientOf,
  command,
  faultsOf,
  goesOn,
  node,
  publishing,
  RIGHTS,
  readyIs,
  reconnected,
  redisOf,
  SLOW,
  watch,
  wayTo,
} from '../setup/cluster.ts'
import { HubProcess } from '../setup/hub-process.ts'

const slow = it.runIf(SLOW)
describe('hubs of a cluster, as processes', () => {
  it('go on when one of them is killed, and requests to its responders end', async () => {
    const redis = await redisOf()
    const [killed, a, b] = await Promise.all([node(redis.url), node(redis.url), node(redis.url)])
    const [responder, asker, subscriber] = [clientOf(killed), clientOf(a), clientOf(b)]
    let started = 0
    await responder.respond('slow', async () => {
      started++
      await passed(60_000)
    })
    const seen = await watch(subscriber, 'live')
    publishing(asker, 'live')
    publishing(responder, 'others')
    await goesOn(seen)
    const answers = [1, 2, 3].map((n) =>
      asker.request('slow', n, { timeout: 50_000 }).then(
        () => 'answered',
        ({ code }) => code,
      ),
    )
    await expect.poll(() => started).toBe(3)
    await killed.kill()
    for (const code of await Promise.all(answers)) expect(['responder_lost', 'no_responder']).toContain(code)
    await expect(asker.request('slow', 4)).rejects.toMatchObject({ code: 'no_responder' })
    await goesOn(seen)
    expect(seen).not.toContain('link')
    expect(faultsOf(seen)).toEqual([])
  })

  it('are not ready while their link hangs, and report what they missed once it is back', async () => {
    const redis = await redisOf()
    const way = await wayTo(redis)
    const [a, b] = await Promise.all([node(redis.url), node(way.redisUrl)])
    const seen = await watch(clientOf(b), 'live')
    publishing(clientOf(a), 'live')
    await goesOn(seen)
    way.shut()
    await readyIs(b, 503)
    way.open()
    await readyIs(b, 200)
    await goesOn(seen)
    expect(seen).toContain('link')
    const gaps = seen.filter((one) => one === 'link').length
    way.hold()
    // A new line stands at once: how long it is not ready can be too short to be seen.
    await reconnected(b, 2)
    await readyIs(b, 200)
    way.release()
    await goesOn(seen)
    expect(seen.filter((one) => one === 'link').length).toBeGreaterThan(gaps)
    expect(faultsOf(seen)).toEqual([])
  })

  it('end on SIGTERM although their link hangs', async () => {
    const redis = await redisOf()
    const way = await wayTo(redis)
    const hub = await node(way.redisUrl, { 'drain-timeout': 1_000 })
    way.hold()
    hub.signal('SIGTERM')
    expect((await hub.ended).signal).toBeNull()
  })

  it('find each other again when Redis was killed and started again', async () => {
    const redis = await redisOf()
    const [a, b] = await Promise.all([node(redis.url), node(redis.url)])
    const seen = await watch(clientOf(b), 'live')
    publishing(clientOf(a), 'live')
    await goesOn(seen)
    await redis.stop()
    await Promise.all([readyIs(a, 503), readyIs(b, 503)])
    await redis.start()
    await Promise.all([readyIs(a, 200), readyIs(b, 200)])
    await goesOn(seen)
    expect(seen).toContain('link')
    expect(faultsOf(seen)).toEqual([])
  })

  it('know each other when they start at once', async () => {
    const redis = await redisOf()
    const nodes = await Promise.all([1, 2, 3].map(() => node(redis.url)))
    const clients = nodes.map(clientOf)
    const seen: string[] = []
    for (const [to, client] of clients.entries()) {
      await client.subscribe<number>('at.once', ({ data }) => void seen.push(`${data} to ${to}`)).ready
    }
    for (const [from, client] of clients.entries()) await client.publish('at.once', from)
    await expect.poll(() => seen.length).toBe(9)
  })

  it('need only the commands of the documentation', async () => {
    const redis = await redisOf()
    await command(redis, 'ACL', 'SETUSER', 'hub', ...RIGHTS)
    const url = redis.url.replace('//', '//hub:secret@')
    const [a, b] = await Promise.all([node(url), node(url)])
    const seen = await watch(clientOf(b), 'live')
    publishing(clientOf(a), 'live')
    await goesOn(seen)
    expect(seen).not.toContain('link')
  })

  it('need no others for streams and queues', async () => {
    const redis = await redisOf()
    await command(redis, 'ACL', 'SETUSER', 'hub', ...RIGHTS)
    const hub = await node(redis.url.replace('//', '//hub:secret@'), { 'cluster-durability': 'relaxed' })
    const client = clientOf(hub)
    await client.admin.streams.declare({ name: 's', topics: ['jobs.#'], lastValue: true })
    await client.admin.queues.declare({
      name: 'q',
      bindings: [{ topic: 'jobs.#' }],
      maxAttempts: 2,
      backoff: { base: 1 },
    })
    const attempts: number[] = []
    client.consume<number>('q', ({ data, attempt }) => {
      attempts.push(data * 10 + attempt)
      if (data > 1) throw new Error('not this one')
    })
    await client.publish('jobs.a', 1, { key: 'group', delay: 10, expiresAt: new Date(Date.now() + 60_000), id: 'own' })
    await client.publish('jobs.a', 2, { priority: 9 })
    await expect.poll(() => attempts.toSorted()).toEqual([11, 21, 22])
    await expect.poll(() => client.admin.queues.deadLetters.count('q')).toBe(1)
    await client.admin.queues.deadLetters.redrive('q')
    await expect.poll(() => client.admin.queues.deadLetters.count('q')).toBe(1)
    await client.admin.queues.purge('q')
    const replayed: unknown[] = []
    client.subscribe('jobs.#', ({ data }) => void replayed.push(data), { from: 'earliest' })
    await expect.poll(() => replayed.length).toBeGreaterThan(0)
    await client.admin.queues.delete('q')
    await client.admin.streams.delete('s')
  })

  it('refuse a wrong password, a database that is not there, a Redis that is too old, and one that does not answer', async () => {
    const redis = await redisOf('--requirepass', 'secret')
    const wrong = HubProcess.refusal({ cluster: redis.url.replace('//', '//:guessed-password@') })
    const none = HubProcess.refusal({ cluster: redis.url })
    const { url } = await redisOf('--databases', '2')
    const noDatabase = HubProcess.refusal({ cluster: `${url}/2` })
    await node(`${url}/1`)
    const old = HubProcess.refusal({ cluster: await strangeRedis('6.2.7') })
    const silent = HubProcess.refusal({ cluster: await strangeRedis(undefined) })
    for (const end of [await wrong, await none]) {
      expect(end.code).toBe(2)
      expect(end.stderr).toContain('refuses the user or password')
      expect(end.stderr).not.toContain('guessed-password')
    }
    expect((await noDatabase).code).toBe(2)
    expect((await noDatabase).stderr).toContain('bad_config: Redis has no database 2. Its setting "databases"')
    expect((await old).code).toBe(2)
    expect((await old).stderr).toContain('cluster needs Redis 7.0 or newer (got 6.2.7)')
    expect((await silent).code).toBe(1)
    expect((await silent).stderr).toContain('cluster_unreachable')
  })

  slow('report what a killed node may have said last', async () => {
    const redis = await redisOf()
    const [killed, b] = await Promise.all([node(redis.url), node(redis.url)])
    const seen = await watch(clientOf(b), 'live')
    publishing(clientOf(killed), 'live')
    await goesOn(seen)
    await killed.kill()
    const next = clientOf(b)
    const timer = setInterval(() => void next.publish('live', 1_000_000 + seen.length), 200)
    onTestFinished(() => clearInterval(timer))
    await expect.poll(() => seen.includes('link'), { timeout: 60_000 }).toBe(true)
  })

  slow('miss nothing in silence when one of them is stopped for 10 s', async () => {
    const redis = await redisOf()
    const [a, stopped] = await Promise.all([node(redis.url), node(redis.url)])
    const [atA, atStopped] = [clientOf(a), clientOf(stopped)]
    const [seen, seenByA] = [await watch(atStopped, 'from.a'), await watch(atA, 'from.stopped')]
    publishing(atA, 'from.a')
    publishing(atStopped, 'from.stopped')
    await Promise.all([goesOn(seen), goesOn(seenByA)])
    stopped.signal('SIGSTOP')
    await passed(10_000)
    stopped.signal('SIGCONT')
    await Promise.all([goesOn(seen), goesOn(seenByA)])
    await Promise.all([goesOn(seen), goesOn(seenByA)])
    expect([...faultsOf(seen), ...faultsOf(seenByA)]).toEqual([])
    expect(seen).toContain('link')
  })

  slow('report what Redis dropped with the connection of a node that was too slow', async () => {
    const redis = await redisOf('--client-output-buffer-limit', 'pubsub 256kb 128kb 1')
    const [a, stopped] = await Promise.all([node(redis.url), node(redis.url)])
    const [atA, atStopped] = [clientOf(a), clientOf(stopped)]
    const seen = await watch(atStopped, 'live')
    await atStopped.subscribe('large', () => {}).ready
    publishing(atA, 'live')
    await goesOn(seen)
    stopped.signal('SIGSTOP')
    const large = 'x'.repeat(100_000)
    for (let n = 0; n < 200; n++) await atA.publish('large', large)
    stopped.signal('SIGCONT')
    await expect.poll(() => seen.includes('link')).toBe(true)
    await goesOn(seen)
    expect(faultsOf(seen)).toEqual([])
  })
})

/** Answers INFO as a Redis of that version does and every other command with OK; without a version, it answers nothing. */
async function strangeRedis(version: string | undefined): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', (data) => {
      if (version === undefined) return
      const info = `redis_version:${version}\r\nloading:0\r\n`
      for (const [name] of data.toString().matchAll(/^\*\d+\r\n\$\d+\r\n\w+/gm)) {
        socket.write(/info$/i.test(name) ? `$${info.length}\r\n${info}\r\n` : '+OK\r\n')
      }
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `redis://127.0.0.1:${(server.address() as AddressInfo).port}`
}
