/**
 * A job queue with retries and dead letters. Run `npx tsx job-queue.ts`.
 * The first mail succeeds, the second succeeds at its third attempt, and the third never does: it becomes a dead letter, with its error.
 */
import { connect } from 'fanfare/client'
import { startHub } from 'fanfare/server'

interface Mail {
  readonly to: string
  /** Attempts that fail before one succeeds. */
  readonly failures: number
}

const hub = await startHub({
  port: 0,
  queues: [{ name: 'mails', maxAttempts: 3, backoff: { base: '20ms', cap: '1s' } }],
})
const client = connect(`ws://127.0.0.1:${hub.port}`)

// Returning acks. Throwing retries after the backoff until the attempts are used up.
const worker = client.consume<Mail>(
  'mails',
  ({ data, attempt }) => {
    if (attempt <= data.failures) throw new Error('The mail server is busy')
    console.log(`sent to ${data.to} at attempt ${attempt}`)
  },
  { concurrency: 4 },
)

await client.enqueue('mails', { to: 'ann', failures: 0 })
await client.enqueue('mails', { to: 'bob', failures: 2 })
await client.enqueue('mails', { to: 'eve', failures: 9 })

// The hub reports the state of each queue once a second.
for await (const { data } of client.subscribe('$sys.queues.mails')) {
  const { depth, deadLetters } = data as { depth: number; deadLetters: number }
  if (depth === 0 && deadLetters === 1) break
}
const letters = await client.admin.queues.deadLetters.list('mails')
for (const { message, error, attempts } of letters) {
  console.log(`gave up on ${(message.data as Mail).to} after ${attempts} attempts: ${error?.split('\n')[0]}`)
}
// Once the cause is fixed: await client.admin.queues.deadLetters.redrive('mails')

await worker.close()
await client.close()
await hub.close()
