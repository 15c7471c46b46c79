import type { Socket } from 'node:net'
import { type Client, connect } from '../../client/node.ts'
import { type Hub, startHub } from '../../server/index.ts'
import { clientFrame, openRaw, seen } from '../load/raw-websocket.ts'

/** A hub in the middle of its day: traffic, a consumer that keeps up, a queue that nobody does, dead letters, a slow reader. */
export interface World {
  hub: Hub
  readonly url: string
  readonly port: number
  /** What the hub itself says, to compare with. */
  readonly client: Client
  close(): Promise<void>
}

const OPTIONS = {
  engine: 'ws',
  drainTimeoutMs: 500,
  // The slow reader does not answer pings.
  pingIntervalMs: 600_000,
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
} as const

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
  return {
    hub,
    url,
    port: hub.port,
    client,
    async close() {
      clearInterval(timer)
      slow.destroy()
      await Promise.all([client, worker, reports].map((each) => each.close()))
      await this.hub.close()
    },
  }
}

/** Thirty in `invoices`, more than a page of them, and a parked group in `ledger`. */
async function deadLetters(url: string): Promise<void> {
  const client = connect(url, { name: 'invoicing 0.9' })
  for (let n = 1; n <= 30; n++) {
    const options = { key: `customer-${n % 3}`, headers: { kind: n % 2 ? 'web' : 'shop' } }
    await client.enqueue('invoices', { order: n, total: n * 10 }, options)
  }
  for (const n of [1, 2, 3]) await client.enqueue('ledger', { entry: n }, { key: 'acct-7' })
  const errors = ['timeout: no answer from the bank in 5,000 ms', 'no such customer']
  const invoices = client.consume<{ order: number }>('invoices', { prefetch: 30 })
  let rejected = 0
  for await (const delivery of invoices) {
    await delivery.reject(errors[delivery.data.order % 2] as string)
    if (++rejected === 30) break
  }
  for await (const delivery of client.consume('ledger')) {
    await delivery.reject('the books do not balance')
    break
  }
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
