/**
 * A consumer in a process of its own, as a service is one: what it acks it publishes in the same step on `done.<queue>`.
 * A message tells it how long to take and how often to fail.
 */
import process from 'node:process'
import { setTimeout as wait } from 'node:timers/promises'
import { connect } from 'fanfare/client'

const { FANFARE_URL, FANFARE_QUEUE } = process.env
const client = connect(FANFARE_URL, { backoff: { base: 10, cap: 50 } })
const consumer = client.consume(FANFARE_QUEUE, handle, { concurrency: 32, prefetch: 64 })
await consumer.ready
process.stdout.write('ready\n')

async function handle(delivery) {
  const { n, takesMs = 0, failures = 0 } = delivery.data
  if (takesMs > 0) await wait(takesMs)
  if (delivery.attempt <= failures) throw new Error(`refuses ${n}`)
  const { key } = delivery.message
  await delivery.ack({ publish: [{ topic: `done.${FANFARE_QUEUE}`, data: n, key }] })
}
