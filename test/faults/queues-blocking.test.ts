import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Client, connect, type Delivery } from '../../client/node.ts'
import { block } from '../setup/block.ts'
import { FlakyNetwork } from '../setup/flaky-network.ts'
import { HubProcess } from '../setup/hub-process.ts'
import { untilQueue } from '../setup/queues.ts'

let hub: HubProcess
let network: FlakyNetwork
let operator: Client
const clients: Client[] = []

beforeAll(async () => {
  hub = await HubProcess.start({ data: 'memory' })
  network = await FlakyNetwork.to(hub.port)
  operator = client()
})
afterAll(async () => {
  await Promise.all(clients.map((each) => each.close()))
  await network?.close()
  await hub?.kill()
})

function client(url = hub.url): Client {
  const made = connect(url)
  clients.push(made)
  return made
}

// The handlers block this process, in which the clients are; the hub is another one.
it.each([
  ['at once', 0],
  ['after an await', 0],
  ['at once', 100],
  ['after an await', 100],
])(
  'the work of handlers that block the event loop past their deadline counts, once (%s, on a line of %d ms)',
  async (when, lineMs) => {
    const name = `${when.replaceAll(' ', '-')}-${lineMs}`
    network.delay(lineMs)
    await operator.admin.queues.declare({ name, ackDeadline: 300, maxAttempts: 3, backoff: { base: '5s', cap: '5s' } })
    for (let n = 0; n < 4; n++) await operator.enqueue(name, n)
    const done: unknown[] = []
    const handler = ({ data, attempt }: Delivery) => {
      block(500)
      done.push([data, attempt])
    }
    const later = async (delivery: Delivery) => {
      await new Promise((resolve) => setTimeout(resolve, 1))
      handler(delivery)
    }
    client(network.url).consume(name, when === 'at once' ? handler : later)
    await untilQueue(operator, name, ({ ackedTotal }) => ackedTotal === 4)
    expect(done).toEqual([0, 1, 2, 3].map((n) => [n, 1]))
    const info = await operator.admin.queues.show(name)
    expect(info).toMatchObject({ depth: 0, inFlight: 0, deadLetters: 0 })
    // It did not go unnoticed.
    expect(info.timedOutTotal).toBeGreaterThan(0)
  },
)
