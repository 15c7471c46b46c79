/**
 * HTTP only, without the client library: publish with POST, listen with server-sent events, resume after a disconnect.
 * Run `npx tsx server-sent-events.ts`. In a browser, `EventSource` does what `listen` does here. So does curl:
 * curl -N 'http://127.0.0.1:4747/v1/events?pattern=news.%23&from=earliest'
 */
import { startHub } from 'fanfare/server'

const hub = await startHub({ port: 0, streams: [{ name: 'news', topics: ['news.#'] }] })
const api = `http://127.0.0.1:${hub.port}/v1`

async function publish(topic: string, data: unknown): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(`${api}/publish`, { method: 'POST', headers, body: JSON.stringify({ topic, data }) })
  if (!response.ok) throw new Error(await response.text())
}

/** Prints this many events and resolves to the id of the last one. */
async function listen(count: number, lastEventId?: string): Promise<string> {
  const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId }
  const cut = new AbortController()
  const { body } = await fetch(`${api}/events?pattern=news.%23&from=earliest`, { headers, signal: cut.signal })
  const decoder = new TextDecoder()
  let text = ''
  let id = ''
  for await (const chunk of body as ReadableStream<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true })
    const events = text.split('\n\n')
    text = events.pop() ?? ''
    for (const event of events) {
      id = /^id: (.*)$/m.exec(event)?.[1] ?? id
      const data = /^data: (.*)$/m.exec(event)?.[1]
      if (data === undefined) continue
      console.log(JSON.parse(data).data)
      count -= 1
    }
    if (count <= 0) break
  }
  cut.abort()
  return id
}

await publish('news.sport', 'The match has begun')
await publish('news.sport', 'Half-time')
const last = await listen(2)
await publish('news.sport', 'It is over')
await listen(1, last)
await hub.close()
