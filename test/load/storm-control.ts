import { connect } from '../../client/node.ts'

/**
 * A client that is not cut off, in a process of its own: it publishes to itself all the time, and on request (a line on
 * standard input) prints the longest time that one of its messages took, in milliseconds.
 */
const PAUSE_MS = 20

const [url = '', token = '', topic = ''] = process.argv.slice(2)
const client = connect(url, { token })
let slowest = 0
await client.subscribe(topic, ({ data }) => {
  slowest = Math.max(slowest, performance.now() - (data as number))
}).ready
process.stdout.write('ready\n')
const timer = setInterval(() => void client.publish(topic, performance.now()), PAUSE_MS)
process.stdin.once('data', async () => {
  clearInterval(timer)
  await client.close()
  process.stdout.write(`${slowest}\n`)
  process.exit()
})
