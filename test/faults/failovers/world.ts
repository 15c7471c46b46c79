import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, onTestFinished } from 'vitest'
import type { Client } from '../../../client/node.ts'
import { allLetters, drained } from '../../setup/chain.ts'
import { configFile, HubProcess } from '../../setup/hub-process.ts'
import type { Entry, FinalState, Kept, Verdict } from '../rounds/checker.ts'
import { clientAt, follow, type Order, Publisher, ResumingReader, send, work } from './clients.ts'
import { judgeAll, longestOutage } from './judge.ts'
import { REPLICAS, RedisSet } from './redis-set.ts'

type Random = () => number

const STREAMS = [
  { name: 'orders', topics: ['orders.#'] },
  { name: 'invoices', topics: ['invoices.#'] },
]
const QUEUE = { bindings: [{ topic: 'orders.#' }], backoff: { base: 10, cap: 100 }, maxAttempts: 50, ackDeadline: 4000 }
const QUEUES = [
  { name: 'work', ...QUEUE },
  { name: 'mail', ...QUEUE },
]
const READERS = ['reader 1', 'reader 2', 'resuming reader']

/** What becomes of the primary. Each ends when the primary of before is a replica. */
export const FAILOVERS: Record<string, (redis: RedisSet, random: Random) => Promise<void>> = {
  async killed(redis) {
    await redis.primary.stop()
    await redis.restartAsReplica(await redis.switched())
  },
  async 'manual failover'(redis, random) {
    await redis.askForFailover()
    const old = await redis.switched()
    await wait(random() * 300)
    await redis.demote(old)
  },
  async 'paused, and back'(redis, random) {
    redis.primary.signal('SIGSTOP')
    const old = await redis.switched()
    await wait(random() * 300)
    // For a moment there are two.
    old.signal('SIGCONT')
    await wait(random() * 300)
    await redis.demote(old)
  },
}

export interface Round {
  readonly failover: string
  /** From the fault until Sentinel named another primary and the old one was a replica, in milliseconds. */
  readonly switchedMs: number
  /** From the fault until the new primary had all of its replicas. */
  readonly completeMs: number
  /** The longest time in which a publisher got no answer. */
  readonly outageMs: number
}

/** Two hubs on a Redis with sentinels, and their clients. */
export class World {
  readonly redis: RedisSet
  private readonly history: Entry[] = []
  private readonly clients: readonly Client[]
  private readonly publishers: readonly Publisher[]
  private readonly resuming: ResumingReader
  private readonly crashes: string[] = []

  private constructor(redis: RedisSet, hubs: readonly HubProcess[], clients: readonly Client[]) {
    this.redis = redis
    this.clients = clients
    const note = (entry: Entry) => void this.history.push(entry)
    this.publishers = clients.map((_, at) => {
      return new Publisher(`publisher-${at + 1}`, [...clients.slice(at), ...clients.slice(0, at)], note)
    })
    this.resuming = new ResumingReader('resuming reader', clients, note)
    for (const [at, client] of clients.entries()) {
      void follow(`reader ${at + 1}`, client, note)
      work(`worker ${at + 1}`, client, note)
      send(`sender ${at + 1}`, client, note)
    }
    for (const hub of hubs) {
      void hub.ended.then(({ signal, code, stderr }) => {
        if (signal !== 'SIGKILL') this.crashes.push(`${code ?? signal}: ${stderr.slice(-2000)}`)
      })
    }
  }

  static async start(): Promise<World> {
    const folder = await mkdtemp(join(tmpdir(), 'fanfare-failovers-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const redis = await RedisSet.start()
    const config = await configFile(join(folder, 'config.json'), STREAMS, QUEUES)
    const options = { cluster: redis.url, 'cluster-replicas': REPLICAS, config }
    const hubs: HubProcess[] = []
    const clients: Client[] = []
    for (const name of ['one', 'other']) {
      const hub = await HubProcess.start({ ...options, 'node-name': name })
      const client = clientAt(hub.url)
      hubs.push(hub)
      clients.push(client)
      onTestFinished(async () => {
        await client.close({ timeout: 100 })
        const { stderr } = await hub.kill()
        if (process.env['FAILOVERS_LOG']) console.log(stderr)
      })
    }
    const world = new World(redis, hubs, clients)
    await world.publishesSince(Date.now())
    return world
  }

  /** Changes the primary in one way, and waits until everything is as before. */
  async round(failover: string, random: Random): Promise<Round> {
    await wait(200 + random() * 400)
    const from = Date.now()
    await FAILOVERS[failover]?.(this.redis, random)
    const switchedMs = Date.now() - from
    const again = this.publishesSince(Date.now())
    await this.redis.complete()
    const completeMs = Date.now() - from
    await again
    const outageMs = longestOutage(this.history, from, Date.now())
    await this.redis.whole()
    return { failover, switchedMs, completeMs, outageMs }
  }

  /** Publishing ends, and everything that was published comes through. */
  async settle(): Promise<Verdict> {
    await Promise.all(this.publishers.map((publisher) => publisher.stop()))
    const [client] = this.clients as [Client]
    await drained(client, 'work')
    await drained(client, 'mail')
    const [orders, invoices] = [await everything(client, 'orders'), await everything(client, 'invoices')]
    await this.hasRead(orders)
    await this.resuming.stop()
    const letters = [...(await allLetters(client, 'work')), ...(await allLetters(client, 'mail'))]
    const deadLetters = letters.map(({ message, reason }) => ({ id: idOf(message.data as Order), reason }))
    const end: FinalState = {
      orders,
      invoices,
      deadLetters,
      state: [],
      restores: [],
      crashes: this.crashes,
      leftovers: [],
      reader: READERS[0] as string,
    }
    return judgeAll(this.history, end, READERS)
  }

  /** Each publisher has an acknowledgement of what it asked for later. */
  private async publishesSince(time: number): Promise<void> {
    const oldest = () => Math.min(...this.publishers.map(({ acknowledgedTo }) => acknowledgedTo))
    await expect.poll(oldest, { interval: 20, timeout: 120_000 }).toBeGreaterThan(time)
  }

  /** By looking: those that never come are for the judge to name. */
  private async hasRead(orders: readonly Kept[]): Promise<void> {
    const missing = () => READERS.some((reader) => this.readBy(reader) < orders.length)
    for (let looks = 0; looks < 200 && missing(); looks++) await wait(100)
  }

  private readBy(reader: string): number {
    return this.history.reduce((sum, { act, by }) => (act === 'read' && by === reader ? sum + 1 : sum), 0)
  }
}

const idOf = ({ by, n }: Order) => `${by}.${n}`

async function everything(client: Client, stream: string): Promise<Kept[]> {
  const { first, next } = await client.admin.streams.show(stream)
  const kept: Kept[] = []
  if (next === first) return kept
  for await (const { topic, key, data } of client.subscribe<Order>('#', { stream, from: 'earliest' })) {
    kept.push({ id: idOf(data), topic, key, n: data.n })
    if (kept.length === next - first) break
  }
  return kept
}
