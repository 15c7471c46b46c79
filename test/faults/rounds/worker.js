/** A consumer in a process of its own: its ack and what follows from the order are one step. Some orders fail once. */
import { openSync, writeSync } from 'node:fs'
import process from 'node:process'
import { setTimeout as wait } from 'node:timers/promises'
import { connect } from 'fanfare/client'

const { FANFARE_URL, HISTORY, NAME } = process.env
const history = openSync(HISTORY, 'a')
const client = connect(FANFARE_URL, { backoff: { base: 10, cap: 100 } })
const consumer = client.consume('work', handle, { concurrency: 8, prefetch: 16 })
await consumer.ready
// A full disk refuses what a consumer says of a failure, and a cursor; that is for its log, and it goes on.
process.on('uncaughtException', (error) => {
  if (error.code !== 'storage_full') throw error
  writeSync(history, `${JSON.stringify({ act: 'refused: storage_full', by: NAME })}\n`)
})
process.stdout.write('ready\n')

async function handle(delivery) {
  const { data, attempt, message } = delivery
  writeSync(history, `${JSON.stringify({ act: 'handled', by: NAME, id: message.id, attempt })}\n`)
  await wait(data.n % 7)
  if (data.n % 50 === 0 && attempt === 1) throw new Error('the first attempt fails')
  await delivery.ack({ publish: [{ topic: 'invoices.made', data, key: message.key, id: `invoice.${message.id}` }] })
}
