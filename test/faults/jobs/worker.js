/** A consumer in a process of its own, like a service. It closes its client on SIGTERM, and dies when its message asks for it. */
import { appendFileSync } from 'node:fs'
import process from 'node:process'
import { connect } from 'fanfare/client'
import { handlerOf } from './handler.js'

const { FANFARE_URL, HISTORY, OPTIONS } = process.env
const client = connect(FANFARE_URL, { backoff: { base: 5, cap: 50 } })
// At once: a process that dies in its handler has noted that it began.
const note = (entry) => appendFileSync(HISTORY, `${JSON.stringify({ ...entry, by: process.pid })}\n`)
const onError = (error, delivery) => {
  if (error.code === 'lease_lost' || error.code === 'connection_lost') note({ n: delivery?.data.n, act: 'lost' })
}
const die = () => process.exit(1)
client.consume('jobs', handlerOf(note, die), { ...JSON.parse(OPTIONS), onError })
process.once('SIGTERM', async () => {
  await client.close()
  process.exit(0)
})
// One that is stopped before it has begun reports nothing more.
await client.ready().then(
  () => process.stdout.write('ready\n'),
  ({ code }) => (code === 'client_closed' ? undefined : process.exit(1)),
)
