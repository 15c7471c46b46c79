/**
 * Replay: a late subscriber reads what it missed, then continues live without a gap. Run `npx tsx late-joiner.ts`.
 * The hub stores the cursor, which is a position in the stream: the next reader with the same cursor name, on any machine, continues there.
 */
import { connect } from 'fanfare/client'
import { startHub } from 'fanfare/server'

const hub = await startHub({ port: 0, streams: [{ name: 'scores', topics: ['scores.#'], maxAge: '1d' }] })
const url = `ws://127.0.0.1:${hub.port}`

const referee = connect(url)
await referee.publish('scores.final', '1:0')
await referee.publish('scores.final', '1:1')

async function watch(name: string, goals: number): Promise<void> {
  const client = connect(url)
  const scores = client.subscribe('scores.*', { from: 'earliest', cursor: 'tv' })
  for await (const { data } of scores) {
    console.log(`${name} sees ${data}`)
    if (--goals === 1) await referee.publish('scores.final', '2:1')
    // A message counts as handled once the loop asks for the next one.
    if (goals === 0) break
  }
  await client.close()
}

await watch('the late joiner', 3)
await referee.publish('scores.final', '2:2')
// The last message before the break is delivered again: the hub cannot know whether it was handled.
await watch('the next one', 2)

await referee.close()
await hub.close()
