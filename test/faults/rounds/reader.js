/** A reader of a stream in a process of its own, with a cursor: what it has not committed comes again to its successor. */
import { openSync, writeSync } from 'node:fs'
import process from 'node:process'
import { connect } from 'fanfare/client'

const { FANFARE_URL, HISTORY, NAME } = process.env
const history = openSync(HISTORY, 'a')
const note = (line) => writeSync(history, `${JSON.stringify({ by: NAME, ...line })}\n`)
const client = connect(FANFARE_URL, { backoff: { base: 10, cap: 100 } })
const subscription = client.subscribe(
  'orders.#',
  ({ id, offsets }) => note({ act: 'read', id, offset: offsets.orders }),
  { cursor: 'reader', from: 'earliest', stream: 'orders', onGap: (gap) => note({ act: 'gap', gap }) },
)
await subscription.ready
// A full disk refuses what a consumer says of a failure, and a cursor; that is for its log, and it goes on.
process.on('uncaughtException', (error) => {
  if (error.code !== 'storage_full') throw error
  writeSync(history, `${JSON.stringify({ act: 'refused: storage_full', by: NAME })}\n`)
})
process.stdout.write('ready\n')
