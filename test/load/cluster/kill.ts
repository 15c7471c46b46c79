import { type Client, connect } from '../../../client/node.ts'
import type { RedisServer } from '../../setup/redis-server.ts'
import { number, row, title } from '../report.ts'
import type { Running } from '../targets.ts'
import { Balancer } from './balancer.ts'
import { type ClusterLoad, passed, startNodes, stopAll } from './load-cluster.ts'
import { LossChecker, type Numbered } from './loss-checker.ts'

const TOPIC = 'news'
const AT_ONCE = 100
/** Of each publisher: every message goes to all clients. */
const EVERY_MS = 100
const WATCHERS = 100
const WANTED_SECONDS = 5
/** Until the other hubs report what the killed one may have said last. */
const LAST_GAP_MS = 8_000

/** A hub with many clients is killed while messages are published on it and on another one. */
export async function clusterKill({ engine, clients }: ClusterLoad, redis: RedisServer): Promise<void> {
  title(`A hub with ${number(clients)} clients is killed, engine ${engine}`)
  const nodes = await startNodes(3, engine, redis)
  const [killed, other, third] = nodes as [Running, Running, Running]
  const balancer = await Balancer.start([killed.port, other.port])
  const crowd = await join(balancer.url, clients)
  const watchers = await join(urlOf(third), WATCHERS)
  const doomed = new NumberedPublisher('doomed', urlOf(killed))
  const standing = new NumberedPublisher('standing', urlOf(third))
  await passed(3_000)
  const since = performance.now()
  const lost = Promise.all(crowd.map(({ client }) => left(client)))
  const stopped = killed.stop()
  const lastOfDoomed = doomed.stop()
  await lost
  await Promise.all(crowd.map(({ client }) => client.ready()))
  const seconds = (performance.now() - since) / 1000
  await stopped
  const toldAfter = await firstGap(watchers, since)
  await passed(2_000)
  const lastOfStanding = standing.stop()
  await passed(1_000)
  const all = [...crowd, ...watchers].map(({ checker }) => checker)
  for (const checker of all) {
    checker.end('doomed', lastOfDoomed)
    checker.end('standing', lastOfStanding)
  }
  const sum = (of: (checker: LossChecker) => number) => all.reduce((total, checker) => total + of(checker), 0)
  row('all clients are back', `${seconds.toFixed(1)} s`, '', `wanted: ${WANTED_SECONDS} s`)
  row('clients of other hubs have a gap', toldAfter === undefined ? 'never' : `${(toldAfter / 1000).toFixed(1)} s`)
  const silent = sum(({ silentlyMissed }) => silentlyMissed)
  const disordered = sum(({ disordered }) => disordered)
  row(
    'missed without a gap',
    number(silent),
    `${number(sum(({ missed }) => missed))} missed of ${number(sum(({ messages }) => messages))}`,
    'wanted: 0',
  )
  row('twice or out of order', number(disordered), '', 'wanted: 0')
  if (seconds > WANTED_SECONDS || silent > 0 || disordered > 0) process.exitCode = 1
  await Promise.all([...crowd, ...watchers].map(({ client }) => client.close({ timeout: 100 })))
  await stopAll(nodes)
}

interface Member {
  readonly client: Client
  readonly checker: LossChecker
}

async function join(url: string, count: number): Promise<Member[]> {
  const members: Member[] = []
  while (members.length < count) {
    const joining = Array.from({ length: Math.min(AT_ONCE, count - members.length) }, async () => {
      const checker = new LossChecker()
      const client = connect(url)
      const onGap = () => checker.gap()
      await client.subscribe<Numbered>(TOPIC, ({ data }) => checker.message(data), { onGap }).ready
      return { client, checker }
    })
    members.push(...(await Promise.all(joining)))
  }
  return members
}

/** Resolves when a client has lost its connection. */
function left(client: Client): Promise<void> {
  return new Promise((resolve) => {
    const off = client.onState(({ to }) => {
      if (to === 'connected') return
      off()
      resolve()
    })
  })
}

/** When all of them had a gap, from `since`; undefined if some never have one. */
async function firstGap(members: readonly Member[], since: number): Promise<number | undefined> {
  while (performance.now() - since < LAST_GAP_MS) {
    if (members.every(({ checker }) => checker.gaps > 0)) return performance.now() - since
    await passed(50)
  }
  return undefined
}

class NumberedPublisher {
  private n = 0
  private readonly client: Client
  private readonly timer: NodeJS.Timeout

  constructor(name: string, url: string) {
    this.client = connect(url)
    this.timer = setInterval(() => {
      const message: Numbered = [name, ++this.n]
      this.client.publish(TOPIC, message).catch(() => {})
    }, EVERY_MS)
  }

  /** Gives the number of its last message. */
  stop(): number {
    clearInterval(this.timer)
    void this.client.close({ timeout: 100 })
    return this.n
  }
}

function urlOf({ port }: Running): string {
  return `ws://127.0.0.1:${port}/`
}
