import { expect, it, onTestFinished } from 'vitest'
import type { Client, Receipt, StartAt } from '../../client/node.ts'
import { clientOf, durableRedis } from '../setup/cluster.ts'
import { fanfare } from '../setup/command.ts'
import { newDirectory } from '../setup/copies.ts'
import { HubProcess } from '../setup/hub-process.ts'
import { range } from '../setup/streams.ts'

// `fanfare copy` between a single hub and a cluster: its users continue where they were

/** Messages published on each hub; half of them are handled before it is stopped. */
const MESSAGES = 60
const HALF = MESSAGES / 2
const KEYS = 3

/** Users of the hub, who move with it. */
class Users {
  private published = 0
  private readonly receipts: Receipt[] = []
  private readonly read: number[] = []
  private readonly readByCursor: number[] = []
  private readonly worked: number[] = []
  private readonly gaps: string[] = []

  /** Publishes, handles half of what has come by now, and publishes again what the last hub has acknowledged. */
  async use(client: Client): Promise<void> {
    const again = await Promise.all(this.receipts.map((_, n) => publish(client, n)))
    expect(again).toEqual(this.receipts.map((receipt) => ({ ...receipt, duplicate: true })))
    const from = this.published
    this.published += MESSAGES
    this.receipts.push(...(await Promise.all(range(from, this.published).map((n) => publish(client, n)))))
    await Promise.all([this.follow(client), this.followByCursor(client), this.work(client)])
  }

  /** The next message, in the epoch that the first hub has given. */
  private get position(): StartAt {
    const epoch = this.receipts[0]?.positions['orders']?.epoch as string
    return { offset: this.read.length, epoch }
  }

  private get end(): number {
    return this.published - HALF
  }

  private async follow(client: Client): Promise<void> {
    const options = { from: this.position, onGap: this.gap } as const
    for await (const { data } of client.subscribe<number>('orders.#', options)) {
      this.read.push(data)
      if (this.read.length === this.end) break
    }
    expect(this.read).toEqual(range(0, this.end))
    expect(this.gaps).toEqual([])
  }

  private async followByCursor(client: Client): Promise<void> {
    const options = { from: 'earliest', cursor: 'reports', onGap: this.gap } as const
    for await (const { data } of client.subscribe<number>('orders.#', options)) {
      // The message of the break was not handled, and comes again.
      if (this.readByCursor.length === this.end) break
      this.readByCursor.push(data)
    }
    expect(this.readByCursor).toEqual(range(0, this.end))
  }

  private async work(client: Client): Promise<void> {
    for await (const delivery of client.consume<number>('jobs')) {
      const { data, key, attempt } = delivery
      expect([key, attempt]).toEqual([`k${data % KEYS}`, 1])
      this.worked.push(data)
      await delivery.ack()
      if (this.worked.length === this.end) break
    }
    for (const key of range(0, KEYS)) {
      const group = this.worked.filter((n) => n % KEYS === key)
      expect(group).toEqual(group.map((_, at) => key + at * KEYS))
    }
  }

  private readonly gap = ({ reason }: { readonly reason: string }) => void this.gaps.push(reason)
}

function publish(client: Client, n: number): Promise<Receipt> {
  return client.publish('orders.new', n, { id: `order-${n}`, key: `k${n % KEYS}` })
}

/** A hub that serves its users, and is then stopped or killed. */
async function serve(
  options: Record<string, string>,
  end: 'SIGTERM' | 'SIGKILL',
  use: (client: Client) => Promise<void>,
): Promise<void> {
  const hub = await HubProcess.start(options)
  onTestFinished(async () => void (await hub.kill()))
  const client = clientOf(hub)
  await use(client)
  const { code } = await hub.kill(end)
  expect(code).toBe(end === 'SIGTERM' ? 0 : null)
  await client.close({ timeout: 100 })
}

async function copy(from: string, to: string): Promise<void> {
  const copying = fanfare(['copy', from, to])
  expect([await copying.exit, copying.stderr]).toEqual([0, ''])
}

it.each(['SIGTERM', 'SIGKILL'] as const)(
  'users of a single hub that ends by %s continue where they were on a cluster, and back',
  async (end) => {
    const users = new Users()
    const [{ where: data }, { where: back }] = [await newDirectory(), await newDirectory()]
    const { url: cluster } = await durableRedis()
    await serve({ data }, end, async (client) => {
      await client.admin.streams.declare({ name: 'orders', topics: ['orders.#'] })
      await client.admin.queues.declare({ name: 'jobs', bindings: [{ topic: 'orders.#' }] })
      await users.use(client)
    })
    await copy(data, cluster)
    await serve({ cluster }, end, (client) => users.use(client))
    await copy(cluster, back)
    await serve({ data: back }, end, (client) => users.use(client))
  },
)
