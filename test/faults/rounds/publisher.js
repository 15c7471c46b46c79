/**
 * A publisher in a process of its own. What it asks for and what was acknowledged goes into its history before anything
 * else happens: a kill leaves that whole.
 */
import { openSync, writeSync } from 'node:fs'
import process from 'node:process'
import { connect } from 'fanfare/client'

const { FANFARE_URL, HISTORY, NAME, GROUPS } = process.env
const UNDER_WAY = 20
const history = openSync(HISTORY, 'a')
const note = (act, n) => writeSync(history, `${JSON.stringify({ act, by: NAME, n, at: Date.now() })}\n`)
const client = connect(FANFARE_URL, { backoff: { base: 10, cap: 100 } })
let stopped = false
process.once('SIGTERM', () => {
  stopped = true
})
process.stdout.write('ready\n')

const underWay = new Set()
for (let n = 1; !stopped; n++) {
  if (underWay.size >= UNDER_WAY) await Promise.race(underWay)
  const key = n % 5 === 0 ? undefined : `${NAME}.${n % Number(GROUPS)}`
  note('asked', n)
  const one = client
    .publish('orders.new', { by: NAME, n }, { id: `${NAME}.${n}`, ...(key && { key }) })
    .then(
      () => note('acknowledged', n),
      ({ code }) => note(`refused: ${code}`, n),
    )
    .finally(() => underWay.delete(one))
  underWay.add(one)
  // As a service, and not as a benchmark: there is to be time for faults.
  await new Promise((resolve) => setTimeout(resolve, 2))
}
await Promise.all(underWay)
await client.close()
