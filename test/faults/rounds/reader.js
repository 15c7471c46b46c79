/**
 * A reader of streams in a process of its own: from the beginning; with a cursor, so that what it has not committed comes again to its successor; and of
 * values that replace each other.
 */
import { openSync, writeSync } from 'node:fs'
import process from 'node:process'
import { connect } from 'fanfare/client'
import { goOn } from './tolerant.js'

const { FANFARE_URL, HISTORY, NAME } = process.env
const history = openSync(HISTORY, 'a')
goOn(history, NAME)
const client = connect(FANFARE_URL, { backoff: { base: 10, cap: 100 } })
const subscriptions = [
  read(NAME, 'orders', {}),
  read(`${NAME} with cursor`, 'orders', { cursor: 'reader' }),
  read(`${NAME} of values`, 'state', {}),
]
await Promise.all(subscriptions.map(({ ready }) => ready))
process.stdout.write('ready\n')

function read(by, stream, options) {
  const note = (line) => writeSync(history, `${JSON.stringify({ by, stream, ...line })}\n`)
  return client.subscribe(
    '#',
    ({ id, topic, key, data, offsets }) =>
      note({
        act: 'read',
        id,
        offset: offsets[stream],
        ...(stream === 'state' && { value: `${topic} ${key}`, n: data.n }),
      }),
    { from: 'earliest', stream, onGap: (gap) => note({ act: 'gap', gap }), ...options },
  )
}
