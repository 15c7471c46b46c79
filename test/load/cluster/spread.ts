import type { RedisServer } from '../../setup/redis-server.ts'
import { openSubscriber, Publisher, type Subscriber } from '../fan-out.ts'
import { cpuSeconds } from '../process-stats.ts'
import { number, row, title } from '../report.ts'
import { fanfare, type Running, type Target } from '../targets.ts'
import { type ClusterLoad, passed, startAll, startNodes, stopAll } from './load-cluster.ts'
import { socketIo } from './socket-io.ts'

const WARM_UP_MS = 2_000

/** What publishers, as fast as they go, caused in a time. */
interface Measured {
  readonly messages: number
  readonly deliveries: number
  readonly seconds: number
  /** Deliveries and CPU, in seconds, of each node. */
  readonly nodes: readonly { readonly deliveries: number; readonly cpu: number }[]
  readonly redisCpu: number
}

/**
 * A publisher at full speed to subscribers on two hubs, compared with two unconnected hubs with a publisher each: both
 * pairs share the core of servers and the load, so that turns of the event loop bring about as much.
 */
export async function clusterFanOut(load: ClusterLoad, redis: RedisServer): Promise<void> {
  const { engine, subscribers } = load
  const target = fanfare(engine)
  const each = [subscribers, subscribers]
  title(`Fan-out, ${subscribers} subscribers on each of two hubs, publishers as fast as they go, engine ${engine}`)
  const apart = await spread(target, await startAll(target, 2), each, load, redis, 2)
  const reference = perDelivery(apart)
  row('two hubs without a cluster', rateOf(apart), `${micros(reference)} a delivery`)
  const joined = await spread(target, await startNodes(2, engine, redis), each, load, redis)
  row('two hubs of a cluster', rateOf(joined), redisOf(joined, 1), 'wanted: Redis 1 µs')
  for (const [n, name] of ["the publisher's hub", 'the other hub'].entries()) {
    const cost = perDelivery(joined, n)
    row(`  ${name}`, '', `${micros(cost)} a delivery`, `${(cost / reference).toFixed(2)} × without one (wanted: 1.2)`)
  }
}

/** Four hubs of which one is interested: the two others must cost nothing. */
export async function clusterInterest(load: ClusterLoad, redis: RedisServer): Promise<void> {
  const { engine } = load
  const target = fanfare(engine)
  title('One interested hub with one subscriber, a publisher on another hub as fast as it goes')
  for (const count of [2, 4]) {
    const measured = await spread(target, await startNodes(count, engine, redis), [0, 1], load, redis)
    const others = measured.nodes.slice(2).map(({ cpu }) => `${((cpu / measured.seconds) * 100).toFixed(1)} %`)
    const idle = others.length > 0 ? `hubs without interest: ${others.join(', ')} of a core` : ''
    row(`${count} hubs`, `${number(measured.messages / measured.seconds)}/s`, redisOf(measured, 1), idle)
  }
}

/** Compared with Socket.IO and its Redis adapter, on the same Redis. */
export async function besideSocketIo(load: ClusterLoad, redis: RedisServer): Promise<void> {
  const { engine, subscribers } = load
  title(`Two nodes compared with Socket.IO, ${subscribers} subscribers on each, engine ${engine}`)
  const ours = await spread(
    fanfare(engine),
    await startNodes(2, engine, redis),
    [subscribers, subscribers],
    load,
    redis,
  )
  const target = socketIo(redis.url)
  const theirs = await spread(target, await startAll(target, 2), [subscribers, subscribers], load, redis)
  const rates = [ours, theirs].map(({ deliveries, seconds }) => deliveries / seconds) as [number, number]
  for (const [n, measured] of [ours, theirs].entries()) {
    const cost = measured.nodes.map((_, node) => micros(perDelivery(measured, node))).join(' and ')
    const name = n === 0 ? 'two hubs of a cluster' : 'Socket.IO with its Redis adapter'
    const ratio = n === 0 ? `${(rates[0] / rates[1]).toFixed(1)} × Socket.IO (wanted: 10)` : ''
    row(name, rateOf(measured), `${cost} a delivery`, ratio)
  }
}

/** Runs it, and ends the nodes. `subscribers`: of each node, in their order; `publishersAt`: one on each of this many nodes. */
async function spread(
  target: Target,
  nodes: readonly Running[],
  subscribers: readonly number[],
  { size, seconds }: ClusterLoad,
  redis: RedisServer,
  publishersAt = 1,
): Promise<Measured> {
  const groups: Subscriber[][] = []
  for (const [n, node] of nodes.entries()) {
    const group: Subscriber[] = []
    while (group.length < (subscribers[n] ?? 0)) {
      group.push(await openSubscriber(target, node, { size }))
    }
    groups.push(group)
  }
  const publishers = await Promise.all(
    nodes.slice(0, publishersAt).map((node) => Publisher.open(target, node, size, undefined)),
  )
  for (const publisher of publishers) publisher.start()
  await passed(WARM_UP_MS)
  const sample = () => ({
    at: performance.now(),
    messages: publishers.reduce((sum, { due }) => sum + due, 0),
    delivered: groups.map((group) => group.reduce((sum, { counter }) => sum + counter.count, 0)),
    cpu: nodes.map(({ pid }) => cpuSeconds(pid as number)),
    redisCpu: cpuSeconds(redis.pid),
  })
  const before = sample()
  await passed(seconds * 1000)
  for (const publisher of publishers) publisher.check()
  const after = sample()
  for (const publisher of publishers) publisher.stop()
  for (const { socket } of groups.flat()) socket.destroy()
  await stopAll(nodes)
  const perNode = nodes.map((_, n) => ({
    deliveries: (after.delivered[n] as number) - (before.delivered[n] as number),
    cpu: (after.cpu[n] as number) - (before.cpu[n] as number),
  }))
  return {
    messages: after.messages - before.messages,
    deliveries: perNode.reduce((sum, { deliveries }) => sum + deliveries, 0),
    seconds: (after.at - before.at) / 1000,
    nodes: perNode,
    redisCpu: after.redisCpu - before.redisCpu,
  }
}

/** CPU of one node, or of all together. */
function perDelivery({ nodes }: Measured, n?: number): number {
  const of = n === undefined ? nodes : nodes.slice(n, n + 1)
  const sum = (what: 'cpu' | 'deliveries') => of.reduce((total, node) => total + node[what], 0)
  return (sum('cpu') / sum('deliveries')) * 1e6
}

function rateOf({ deliveries, seconds }: Measured): string {
  return `${number(deliveries / seconds)}/s`
}

function redisOf({ redisCpu, messages }: Measured, interested: number): string {
  return `Redis ${micros((redisCpu / messages / interested) * 1e6)} a message`
}

function micros(value: number): string {
  return `${value.toFixed(2)} µs`
}
