import { expect, it, onTestFinished } from 'vitest'
import { type Client, connect } from '../../client/node.ts'
import { Balancer } from '../setup/balancer.ts'
import { clientOf, faultsOf, goesOn, node, publishing, redisOf, watch } from '../setup/cluster.ts'

const CLIENTS = 60

it('clients of a node that gets SIGTERM move to the others a few at a time, and miss nothing in silence', async () => {
  const redis = await redisOf()
  const [a, b, c] = await Promise.all([0, 1, 2].map((n) => node(redis.url, { 'node-name': `node-${n}` })))
  if (!a || !b || !c) throw new Error('no nodes')
  const balancer = await Balancer.start([a.port, b.port, c.port])
  onTestFinished(() => balancer.close())
  const clients: Client[] = []
  const all: (number | string)[][] = []
  for (let n = 0; n < CLIENTS; n++) {
    const client = connect(balancer.url, { backoff: { base: 10, cap: 100 } })
    onTestFinished(async () => void (await client.close({ timeout: 100 })))
    clients.push(client)
    all.push(await watch(client, 'live'))
  }
  const direct = clientOf(b)
  const published = publishing(direct, 'live')
  await Promise.all(all.map(goesOn))
  a.signal('SIGTERM')
  const { code, stderr } = await a.ended
  expect(code).toBe(0)

  const times = [...stderr.matchAll(/"time":(\d+).*"code":"shutting_down".*"connection ended"/g)].map(([, at]) =>
    Number(at),
  )
  expect(times).toHaveLength(CLIENTS / 3)
  // One in 50 ms. A busy machine is later, and then moves at most the share of the time that has passed.
  const inHalfASecond = times.map((from) => times.filter((at) => at >= from && at < from + 500).length)
  expect(Math.max(...inHalfASecond)).toBeLessThan(times.length)

  const nodes = async () => (await direct.admin.nodes.list()).nodes
  await expect.poll(async () => (await nodes()).map(({ name }) => name)).toEqual(['node-1', 'node-2'])
  const connections = async () => (await nodes()).reduce((sum, { connections = 0 }) => sum + connections, 0)
  await expect.poll(connections).toBe(CLIENTS + 1)
  await Promise.all(all.map(goesOn))
  const last = published()
  await expect.poll(() => all.every((seen) => seen.some((one) => typeof one === 'number' && one >= last))).toBe(true)
  expect(all.flatMap(faultsOf)).toEqual([])
})
