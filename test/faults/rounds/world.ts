import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Client, connect } from '../../../client/node.ts'
import { allLetters, drained } from '../../setup/chain.ts'
import { FlakyNetwork } from '../../setup/flaky-network.ts'
import type { FinalState, Kept } from './checker.ts'
import { Crew } from './crew.ts'
import { QUEUES } from './declarations.ts'
import type { Hubs } from './hubs.ts'

/** Looks at what the reader has noted, 20 ms apart. */
const MOST_LOOKS = 1000

/** Hubs with their clients, every one a process, and the network between them. */
export class World<These extends Hubs = Hubs> {
  readonly network: FlakyNetwork
  readonly hubs: These
  readonly crew: Crew
  private readonly folder: string

  private constructor(folder: string, hubs: These, network: FlakyNetwork) {
    this.folder = folder
    this.hubs = hubs
    this.network = network
    this.crew = new Crew(network.url, folder)
  }

  static async start<These extends Hubs>(start: (folder: string) => Promise<These>): Promise<World<These>> {
    const folder = await mkdtemp(join(tmpdir(), 'fanfare-round-'))
    const hubs = await start(folder)
    const world = new World(folder, hubs, await FlakyNetwork.to(hubs.port))
    const roles = ['worker', 'worker', 'reader'] as const
    await Promise.all(roles.map((role) => world.crew.hire(role)))
    return world
  }

  /** Publishers end; then what they were promised has its time to come through. */
  async settle(): Promise<FinalState> {
    await this.crew.endPublishers()
    const client = connect(`ws://127.0.0.1:${this.hubs.port}/`, { backoff: { base: 10, cap: 100 } })
    try {
      for (;;) {
        const end = await this.endState(client).catch((error: { code?: string }) => {
          // On a busy machine this process may not answer a ping in time.
          if (error.code !== 'connection_lost') throw error
          return undefined
        })
        if (end) return end
      }
    } finally {
      await client.close()
    }
  }

  private async endState(client: Client): Promise<FinalState> {
    await Promise.all(QUEUES.map(({ name }) => drained(client, name)))
    await this.hubs.agree()
    const orders = await everything(client, 'orders')
    await this.hasRead(orders)
    const invoices = await everything(client, 'invoices')
    const state = await everything(client, 'state')
    const letters = await Promise.all(QUEUES.map(({ name }) => allLetters(client, name)))
    const deadLetters = letters.flat().map(({ message: { id }, reason }) => ({ id, reason }))
    const leftovers = await this.hubs.leftovers(this.crew.size + 1)
    const { restores } = this.hubs
    const crashes = [...this.hubs.crashes, ...this.crew.crashes]
    return { orders, invoices, state, deadLetters, restores, crashes, leftovers, reader: this.crew.reader }
  }

  async close(): Promise<void> {
    this.crew.close()
    await this.network.close()
    await this.hubs.close()
    await rm(this.folder, { recursive: true, force: true })
  }

  private async hasRead(orders: readonly Kept[]): Promise<void> {
    const { reader } = this.crew
    const seen = () => new Set(this.crew.notes('reader').flatMap(({ by, id }) => (by === reader ? [id] : [])))
    const isMissing = () => {
      const ids = seen()
      return orders.some(({ id }) => !ids.has(id))
    }
    // By looking: what a process notes is a file, and no event. Those that never come are for the judge to name.
    for (let looks = 0; looks < MOST_LOOKS && isMissing(); looks++)
      await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function everything(client: Client, stream: string): Promise<Kept[]> {
  const { first, next } = await client.admin.streams.show(stream)
  const kept: Kept[] = []
  if (next === first) return kept
  for await (const { id, topic, key, data, offsets } of client.subscribe('#', { stream, from: 'earliest' })) {
    kept.push({ id, topic, key, n: (data as { n: number }).n })
    if (offsets?.[stream] === next - 1) break
  }
  return kept
}
