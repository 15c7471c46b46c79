/**
 * A restaurant with two cooks, to be read from top to bottom and run with `npm run restaurant`.
 *
 * The waiter publishes orders. A queue hands each order to one cook. Ben drops dead in the middle of his second dish;
 * nobody tells the waiter, and nobody has to: the hub notices that Ben is gone, and gives his order to Ada. Each dish is
 * served once, because a cook's `ack` and the dish that it publishes are one step: both happen, or neither.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { connect } from 'fanfare/client'
import { startHub } from 'fanfare/server'

interface Order {
  readonly table: number
  readonly dish: string
}

interface Topics {
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

  // `from: 'earliest'`: no dish is missed, whenever the waiter looks.
  const dishes = waiter.subscribe('dishes.served', { from: 'earliest' })
  for (const [n, dish] of DISHES.entries()) await waiter.publish('orders.placed', { table: n + 1, dish })
  say('waiter', `${DISHES.length} orders are in`)

  const cooks = [hire('Ada', url), hire('Ben', url)]
  const served = new Map<string, number>()
  for await (const { data } of dishes) {
    say('waiter', `table ${data.table} gets ${data.dish}, cooked by ${data.cook}`)
    served.set(data.dish, (served.get(data.dish) ?? 0) + 1)
    if (served.size === DISHES.length) break
  }

  const { depth, inFlight } = await waiter.queues.show('kitchen')
  const twice = [...served].filter(([, times]) => times > 1)
  say('waiter', `${served.size} dishes, ${twice.length} of them twice; ${depth + inFlight} orders left`)
  for (const cook of cooks) cook.kill()
  await waiter.close()
  await hub.close()
}

/** A cook is a process of his own, as a service would be. */
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
  let begun = 0
  const kitchen = client.consume<Order>('kitchen', async (order) => {
    const again = order.attempt > 1 ? `, once more: ${order.lastError}` : ''
    say(name, `begins ${order.data.dish}${again}`)
    await new Promise((resolve) => setTimeout(resolve, COOKING_MS))
    if (name === 'Ben' && ++begun === 2) process.kill(process.pid, 'SIGKILL')
    await order.ack({ publish: [{ topic: 'dishes.served', data: { ...order.data, cook: name } }] })
  })
  process.once('SIGTERM', () => void kitchen.close().then(() => client.close()))
}

function say(who: string, what: string): void {
  console.log(`${who.padEnd(7)} ${what}`)
}

const [name, url] = process.argv.slice(2)
await (name !== undefined && url !== undefined ? cook(name, url) : restaurant())
