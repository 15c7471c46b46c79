/**
 * A publisher in a process of its own. What it asks for and what was acknowledged goes into its history before anything
 * else happens: a kill leaves that whole.
 */
import { openSync, writeSync } from 'node:fs'
import process from 'node:process'
import { connect } from 'fanfare/client'

const { FANFARE_URL, HISTORY, NAME, GROUPS } = process.env
const UNDER_WAY = 20
/** These may have been kept, or can be tried again. An order of a group is not: later ones may be there. */
const AGAIN = ['outcome_unknown', 'cluster_unreachable', 'storage_full']
const history = openSync(HISTORY, 'a')
const note = (act, n) => writeSync(history, `${JSON.stringify({ act, by: NAME, n, at: Date.now() })}\n`)
const client = connect(FANFARE_URL, { backoff: { base: 10, cap: 100 } })
let stopped = false
process.once('SIGTERM', () => {
  stopped = true
})
process.stdout.write('ready\n')

const underWay = new Set()
function begin(acts, n, publish) {
  note(acts.asked, n)
  const one = publish()
    .then(
      () => note(acts.kept, n),
      ({ code }) => note(`refused: ${code}`, n),
    )
    .finally(() => underWay.delete(one))
  underWay.add(one)
}

const ORDER = { asked: 'asked', kept: 'acknowledged' }
const VALUE = { asked: 'stating', kept: 'stated' }
for (let n = 1; !stopped; n++) {
  if (underWay.size >= UNDER_WAY) await Promise.race(underWay)
  begin(ORDER, n, () => order(n))
  if (n % 6 === 0) begin(VALUE, n, () => client.publish(`state.${NAME}`, { n }, { key: `${n % 3}` }))
  // As a service, and not as a benchmark: there is to be time for faults.
  await new Promise((resolve) => setTimeout(resolve, 2))
}
await Promise.all(underWay)
await client.close()

function order(n) {
  const kind = n % 45 === 0 ? 'doomed' : n % 7 === 0 ? 'narrow' : 'new'
  // What waits for room is overtaken by what goes to another topic.
  const key = n % 5 === 0 ? undefined : `${NAME}.${kind}.${n % Number(GROUPS)}`
  const options = { id: `${NAME}.${n}`, ...(key && { key }) }
  if (n % 10 === 0) options.priority = n % 9
  if (n % 15 === 0 || n % 41 === 0) options.delay = 100
  const publish = () => client.publish(`orders.${kind}`, { by: NAME, n }, options)
  return key ? publish() : again(n, publish)
}

async function again(n, publish) {
  for (;;) {
    try {
      return await publish()
    } catch (error) {
      if (!AGAIN.includes(error.code) || stopped) throw error
      note('again', n)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}
