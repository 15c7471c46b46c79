/**
 * Request/reply between clients: several responders share the requests. Run `npx tsx request-reply.ts`.
 */
import { connect } from 'fanfare/client'
import { startHub } from 'fanfare/server'

const hub = await startHub({ port: 0 })
const url = `ws://127.0.0.1:${hub.port}`

const prices: Readonly<Record<string, number>> = { apple: 0.5, melon: 3 }
const shop = connect(url)
const responder = shop.respond<string, number>('shop.price', ({ data }) => {
  const price = prices[data]
  // The requester receives the error's message.
  if (price === undefined) throw new Error(`We have no ${data}`)
  return price
})
await responder.ready

const customer = connect(url)
console.log('apple:', await customer.request<number>('shop.price', 'apple'))

for (const [topic, fruit] of [
  ['shop.price', 'lemon'],
  ['shop.weight', 'apple'],
] as const) {
  await customer.request(topic, fruit).catch(({ code }) => console.log(`${topic} of ${fruit}:`, code))
}

await customer.close()
await shop.close()
await hub.close()
