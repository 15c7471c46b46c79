import { setTimeout as passed } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import { type Client, connect, type HubInfo } from '../../client/node.ts'
import { hashApiKey, newApiKey } from '../../server/auth/api-key.ts'
import { type Hub, startHub } from '../../server/index.ts'
import { redisOf } from '../setup/cluster.ts'
import { fanfare } from '../setup/command.ts'
import { range } from '../setup/streams.ts'

const OPERATOR = newApiKey()
const SENDER = newApiKey()

/** Two hubs on one Redis whose clients have API keys: of an operator, and of a sender with a limit. */
async function twoHubs(): Promise<{ hubs: readonly Hub[]; client: (hub: Hub, name?: string) => Client }> {
  const redis = await redisOf()
  const apiKeys = [
    { name: 'ops', hash: hashApiKey(OPERATOR), permissions: { admin: true as const } },
    { name: 'sender', hash: hashApiKey(SENDER), permissions: { publish: ['#'] } },
  ]
  const start = (nodeName: string) =>
    startHub({
      cluster: redis.url,
      port: 0,
      nodeName,
      drainTimeout: 100,
      auth: { apiKeys },
      identityMessagesPerSecond: 50,
    })
  const hubs = await Promise.all([start('east'), start('west')])
  onTestFinished(async () => {
    for (const hub of hubs) await hub.close()
  })
  return {
    hubs,
    client(hub, name = 'operator') {
      const client = connect(hub.url as string, { token: OPERATOR, name, backoff: { base: 10, cap: 50 } })
      onTestFinished(async () => void (await client.close({ timeout: 100 })))
      return client
    },
  }
}

it('calls, status topics and requests of any hub of a cluster cover all of them', async () => {
  const { hubs, client } = await twoHubs()
  const [east, west] = hubs.map((hub) => client(hub)) as [Client, Client]
  const responder = client(hubs[1] as Hub, 'responder')
  await Promise.all([east.ready(), west.ready(), responder.respond('where', () => 'west').ready])
  expect(await east.request('where')).toBe('west')
  const here = east.respond('where', () => 'east')
  await here.ready
  expect(await east.request('where')).toBe('east')
  await west.publish('t.a', 1)
  await east.publish('t.a', 2)
  await expect
    .poll(async () => (await east.admin.topics.list()).busiest)
    .toMatchObject([{ topic: 't.a', publishedTotal: 2 }])
  const sums = { nodes: 2, connections: 3, publishedTotal: 2 }
  for (const each of [east, west]) {
    expect(await each.admin.hub.show()).toMatchObject(sums)
    for await (const { data } of each.subscribe<HubInfo>('$sys.hub')) {
      expect(data).toMatchObject(sums)
      break
    }
    expect((await each.admin.connections.list()).count).toBe(3)
  }
  const { connections } = await east.admin.connections.list()
  const operate = async (...args: string[]) => {
    const command = fanfare(args, { FANFARE_URL: hubs[0]?.url as string, FANFARE_TOKEN: OPERATOR })
    expect(await command.exit, command.stderr).toBe(0)
    return command.stdout
  }
  const target = connections.find(({ client }) => client === 'responder')?.connection as string
  const { id } = (await west.admin.hub.show()).node
  const there = { name: 'west', id, address: `127.0.0.1:${hubs[1]?.port}` }
  expect(await east.admin.connections.show(target)).toMatchObject({ subject: 'ops', node: there })
  const listed = (await operate('connections')).split('\n')
  expect(listed[0]).toMatch(/^number +connection +client +subject +address +hub +open for /)
  expect(listed.find((line) => line.includes(target))).toMatch(/ responder +ops +127\.0\.0\.1 +west 127\.0\.0\.1:\d+ /)
  expect(await operate('connections', 'show', target)).toMatch(/^subject +ops\n.*\nhub +west 127\.0\.0\.1:\d+$/m)
  await east.admin.connections.disconnect(target)
  await expect.poll(() => east.admin.connections.show(target)).toMatchObject({ code: 'disconnected_by_operator' })
})

it('an identity is held to its limit over all hubs of a cluster', async () => {
  const { hubs } = await twoHubs()
  const begin = performance.now()
  let taken = 0
  let refused = 0
  const publish = async ({ port }: Hub) => {
    const headers = { authorization: `Bearer ${SENDER}` }
    const answer = await fetch(`http://127.0.0.1:${port}/v1/topics/a`, { method: 'POST', body: 'x', headers })
    await answer.arrayBuffer()
    if (answer.ok) taken++
    else refused++
  }
  // Four times the limit, and until it was reached.
  while (performance.now() - begin < 5000 || refused < 50) {
    await Promise.all([...range(0, 10).flatMap(() => hubs.map(publish)), passed(100)])
  }
  const seconds = (performance.now() - begin) / 1000
  // What each hub takes at once comes first. Without reports from the other, each would accept its own 50 a second.
  expect(taken).toBeLessThan(2 * 50 + 1.5 * 50 * seconds)
  expect(taken).toBeGreaterThan(100)
})
