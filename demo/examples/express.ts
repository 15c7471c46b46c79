/**
 * A hub inside an Express application, on the same port. Run `npm install express` and `npx tsx express.ts`.
 * The application publishes directly, without a connection. Browsers subscribe over a WebSocket or read server-sent events.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { connect } from 'fanfare/client'
import { createHub } from 'fanfare/server'

const hub = await createHub()
const shop = hub.connect({ name: 'shop' })

const app = express()
app.use(hub.handler) // The HTTP API, server-sent events and metrics. All other requests go to the application.
app.use(express.json())
app.post('/orders', async (request, response) => {
  const { id } = await shop.publish('orders.placed', request.body)
  response.status(202).json({ id })
})

// On any address other than loopback the hub needs `auth`.
const server = createServer(app)
await hub.attach(server)
server.listen(Number(process.env['PORT'] ?? 3000), '127.0.0.1')
await once(server, 'listening')

// That is all. The rest is a client that shows it at work.
const { port } = server.address() as AddressInfo
const client = connect(`ws://127.0.0.1:${port}`)
const orders = client.subscribe('orders.*')
await orders.ready

const headers = { 'content-type': 'application/json' }
const order = JSON.stringify({ total: 12 })
const { status } = await fetch(`http://127.0.0.1:${port}/orders`, { method: 'POST', headers, body: order })
console.log('Express answers', status)
for await (const { topic, data } of orders) {
  console.log(topic, data)
  break
}
const ready = await fetch(`http://127.0.0.1:${port}/readyz`)
console.log('the hub answers', ready.status)

await client.close()
await hub.close()
server.close()
