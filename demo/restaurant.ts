/**
 * A restaurant with two cooks. Read it from top to bottom; run it with `npm run restaurant`.
 *
 * The waiter publishes orders. A queue hands each order to one cook. Ben drops dead over his first dish. No one has to tell the waiter: the hub
 * notices that Ben is gone, and gives his order to Ada. Each dish is served once, because a cook's `ack` and the dish that it publishes are one
 * step: both happen, or neither.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { connect, type Delivery } from 'fanfare/client'
import { startHub } from 'fanfare/server'

interface Order {
  readonly table: number
  readonly dish: string
}

interface Topics {
  'cooks.arrived': string
  'orders.placed': Order
  'dishes.served': Order & { readonly cook: string }
}

const DISHES = ['soup', 'risotto', 'salad', 'ravioli', 'trout', 'cake']
const COOKING_MS = 300

async function restaurant(): Promise<void> {
  const hub = await startHub({
    port: 0,
    queues: [{ name: 'kitchen', bindings: [{ topic: 'orders.placed' }] }],
    streams: [{ name: 'dishes', topics: ['dishes.served'] }],
  })
  const url = `ws://127.0.0.1:${hub.port}`
  const waiter = connect<Topics>(url)

  const arrivals = waiter.subscribe('cooks.arrived')
  await arrivals.ready
  const cooks = [hire('Ada', url), hire('Ben', url)]
  const present = new Set<string>()
  for await (const { data: name } of arrivals) {
    say('waiter', `${name} is here`)
    if (present.add(name).size === cooks.length) break
  }

  for (const [n, dish] of DISHES.entries()) await waiter.publish('orders.placed', { table: n + 1, dish })
  say('waiter', `${DISHES.length} orders are in`)

  // From the stream that keeps them, so that none is missed however late the waiter looks.
  const served: string[] = []
  for await (const { data } of waiter.subscribe('dishes.served', { from: 'earliest' })) {
    say('waiter', `table ${data.table} gets ${data.dish}, cooked by ${data.cook}`)
    if (served.push(data.dish) === DISHES.length) break
  }

  const { depth, inFlight } = await waiter.admin.queues.show('kitchen')
  const twice = served.length - new Set(served).size
  say('waiter', `${served.length} dishes, ${twice} of them twice; ${depth + inFlight} orders left`)
  for (const cook of cooks) cook.kill()
  await waiter.close()
  await hub.close()
}

/** A cook is a process of its own, as a service would be. */
function hire(name: string, url: string): ChildProcess {
  const cook = spawn(process.execPath, [...process.execArgv, fileURLToPath(import.meta.url), name, url], {
    stdio: 'inherit',
  })
  cook.on('exit', (_, signal) => {
    if (signal === 'SIGKILL') say('waiter', `${name} is dead!`)
  })
  return cook
}

async function cook(name: string, url: string): Promise<void> {
  const client = connect<Topics>(url)
  const prepare = async (order: Delivery<Order>) => {
    const again = order.attempt > 1 ? `, again: ${order.lastError}` : ''
    say(name, `begins ${order.data.dish}${again}`)
    await new Promise((resolve) => setTimeout(resolve, COOKING_MS))
    if (name === 'Ben') process.kill(process.pid, 'SIGKILL')
    await order.ack({ publish: [{ topic: 'dishes.served', data: { ...order.data, cook: name } }] })
  }
  // A cook takes one order at a time, and leaves the others to the colleague.
  const kitchen = client.consume('kitchen', prepare, { prefetch: 1 })
  await kitchen.ready
  await client.publish('cooks.arrived', name)
  process.once('SIGTERM', () => void kitchen.close().then(() => client.close()))
}

function say(who: string, what: string): void {
  console.log(`${who.padEnd(7)} ${what}`)
}

const [name, url] = process.argv.slice(2)
await (name !== undefined && url !== undefined ? cook(name, url) : restaurant())
