/** A worker as `fanfare work` runs it. It holds every message until `released` is published. */
import process from 'node:process'
import { connect } from 'fanfare/client'

const { FANFARE_URL, FANFARE_QUEUE } = process.env
const client = connect(FANFARE_URL)
let release
const released = new Promise((resolve) => {
  release = resolve
})
await client.subscribe('released', release).ready
process.stdout.write(`${process.pid} works on ${FANFARE_QUEUE} at ${FANFARE_URL}\n`)
client.consume(FANFARE_QUEUE, handle, { prefetch: 1 })
process.once('SIGTERM', async () => {
  release()
  await client.close()
  process.stdout.write(`${process.pid} has stopped\n`)
})

async function handle({ data, attempt }) {
  if (data === 'crash' && attempt === 1) process.exit(3)
  if (data === 'hold') await released
  process.stdout.write(`${process.pid} did ${data}\n`)
}
