/** A consumer in a process of its own: its ack and what follows from the order are one step. Some orders fail once, some always. */
import { openSync, writeSync } from 'node:fs'
import process from 'node:process'
import { setTimeout as wait } from 'node:timers/promises'
import { connect } from 'fanfare/client'
import { goOn } from './tolerant.js'

const { FANFARE_URL, HISTORY, NAME } = process.env
const history = openSync(HISTORY, 'a')
goOn(history, NAME)
const client = connect(FANFARE_URL, { backoff: { base: 10, cap: 100 } })
const consumers = [
  client.consume('work', handle, { concurrency: 8, prefetch: 16 }),
  client.consume('narrow', handle, { concurrency: 2 }),
  client.consume('doomed', (delivery) => {
    note(delivery)
    throw new Error('every attempt fails')
  }),
]
await Promise.all(consumers.map(({ ready }) => ready))
process.stdout.write('ready\n')

function note({ attempt, message }) {
  writeSync(history, `${JSON.stringify({ act: 'handled', by: NAME, id: message.id, attempt })}\n`)
}

async function handle(delivery) {
  const { data, attempt, message } = delivery
  note(delivery)
  await wait(data.n % 7)
  if (data.n % 43 === 0) return delivery.reject(new Error('not an order'))
  if (data.n % 50 === 0 && attempt === 1) throw new Error('the first attempt fails')
  await delivery.ack({ publish: [{ topic: 'invoices.made', data, key: message.key, id: `invoice.${message.id}` }] })
}
