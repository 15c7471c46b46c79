import type { Socket } from 'node:net'
import { type Client, connect } from '../../client/node.ts'
import { type Hub, type HubOptions, startHub } from '../../server/index.ts'
import type { HubInfo } from '../../shared/sys.ts'
import { clientFrame, openRaw, seen } from '../load/raw-websocket.ts'
import { QueueReader } from './queues.ts'

/** A hub on a normal day: traffic, a consumer that keeps up, a queue without consumers, dead letters, a slow reader. */
export interface World {
  /** Another one, once a test has restarted it. */
  hub: Hub
  readonly url: string
  readonly port: number
  /** The hub's own figures, to compare with. */
  readonly client: Client
  close(): Promise<void>
}

const OPTIONS: HubOptions = {
  engine: 'ws',
  drainTimeout: 500,
  // The slow reader does not answer pings.
  pingInterval: 600_000,
  streams: [
    { name: 'photos', topics: ['photos.#'], maxAge: '7d' },
    { name: 'orders', topics: ['orders.#'], maxMessages: 100_000 },
  ],
  queues: [
    { name: 'thumbnails', bindings: [{ topic: 'photos.uploaded' }], maxAttempts: 3 },
    { name: 'emails', bindings: [{ topic: 'orders.placed', match: { all: { kind: 'web' } } }], maxMessages: 5000 },
    { name: 'invoices', bindings: [], maxAttempts: 1 },
    { name: 'ledger', bindings: [], maxAttempts: 1, onDeadLetter: 'park' },
  ],
}

const CURRENCIES = ['eur', 'usd', 'gbp', 'jpy', 'chf', 'sek']

export function startDashboardHub(port: number, data: string): Promise<Hub> {
  return startHub({ ...OPTIONS, port, data })
}

export async function startWorld(port: number, data: string): Promise<World> {
  const hub = await startDashboardHub(port, data)
  const url = `ws://127.0.0.1:${hub.port}/`
  const client = connect(url, { name: 'photo-upload 2.1' })
  const worker = connect(url, { name: 'thumbnailer 1.4' })
  worker.consume('thumbnails', () => {}, { prefetch: 8 })
  const reports = connect(url, { name: 'reports' })
  await reports.subscribe('photos.#', () => {}, { from: 'earliest', cursor: 'reports' }).ready
  await deadLetters(url)
  const slow = await slowReader(hub.port)
  await untilItDrops(client)
  let n = 0
  const timer = setInterval(() => {
    if (client.state !== 'connected') return
    n++
    const sent = [
      client.publish('photos.uploaded', { name: `IMG_${n}.jpg`, bytes: 2_400_000 + n }),
      client.publish('orders.placed', { order: n, euros: 12 }, { headers: { kind: n % 2 ? 'web' : 'shop' } }),
      ...CURRENCIES.map((name) => client.publish(`prices.${name}`, { bid: 100 + n, ask: 101 + n }, { key: name })),
      client.publish('frames.raw', 'x'.repeat(20_000)),
    ]
    // What is under way when the hub is restarted may be refused.
    for (const each of sent) each.catch(() => {})
  }, 50)
  const world: World = {
    hub,
    url,
    port: hub.port,
    client,
    async close() {
      clearInterval(timer)
      slow.destroy()
      await Promise.all([client, worker, reports].map((each) => each.close()))
      await world.hub.close()
    },
  }
  return world
}

/** Thirty in `invoices`, more than a page of them, and a parked group in `ledger`. */
async function deadLetters(url: string): Promise<void> {
  const client = connect(url, { name: 'invoicing 0.9' })
  const numbers = Array.from({ length: 30 }, (_, n) => n + 1)
  const options = (n: number) => ({ key: `customer-${n % 3}`, headers: { kind: n % 2 ? 'web' : 'shop' } })
  await Promise.all([
    ...numbers.map((n) => client.enqueue('invoices', { order: n, total: n * 10 }, options(n))),
    ...[1, 2, 3].map((n) => client.enqueue('ledger', { entry: n }, { key: 'acct-7' })),
  ])
  const errors = ['timeout: no answer from the bank in 5,000 ms', 'no such customer']
  const invoices = new QueueReader<{ order: number }>(client, 'invoices', { prefetch: 30 })
  // Of a group the next comes when the one before is done.
  for (let rejected = 0; rejected < 30; rejected++) {
    const delivery = await invoices.next()
    await delivery.reject(errors[delivery.data.order % 2] as string)
  }
  const ledger = new QueueReader(client, 'ledger')
  await (await ledger.next()).reject('the books do not balance')
  await client.close()
}

/** Subscribes, and then reads no more. */
async function slowReader(port: number): Promise<Socket> {
  const socket = await openRaw({ port }, '/', 'fanfare.v1')
  const subscribed = seen(socket, '"subscribed"')
  socket.write(clientFrame('{"type":"hello","client":"phone on a train"}'))
  socket.write(clientFrame('{"type":"subscribe","sub":1,"pattern":"frames.#","policy":"drop-oldest"}'))
  await subscribed
  socket.pause()
  return socket
}

/** Fills the buffers between the hub and a reader that does not read, beyond its outbox. */
async function untilItDrops(client: Client): Promise<void> {
  const frame = 'x'.repeat(50_000)
  for (;;) {
    await Promise.all(Array.from({ length: 40 }, () => client.publish('frames.raw', frame)))
    const { droppedTotal } = (await client.call('hub.show')) as HubInfo
    if (Object.keys(droppedTotal).length > 0) return
  }
}
