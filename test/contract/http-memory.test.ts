import { queryObjects } from 'node:v8'
import { expect, it } from 'vitest'
import { onEveryEngine } from '../setup/hubs.ts'
import { ask, RawHttp } from '../setup/raw-http.ts'
import { range } from '../setup/streams.ts'

/** Requests of each kind. */
const REQUESTS = 50

const head = (line: string, ...headers: string[]) =>
  `${[`${line} HTTP/1.1`, 'Host: localhost', ...headers].join('\r\n')}\r\n\r\n`
const post = (path: string, framing: string, body: string) =>
  `${head(`POST ${path}`, 'Content-Type: application/json', framing)}${body}`

const ANSWERED = [
  // Without a body.
  head('GET /healthz'),
  // A body that is read, one that is not, and one that is too large.
  post('/v1/publish', 'Content-Length: 24', '[{"topic":"a","data":1}]'),
  post('/nowhere', 'Content-Length: 7', '{"a":1}'),
  post('/v1/publish', 'Content-Length: 900000000', '1'),
  // Events, whose client leaves.
  head('GET /v1/events?pattern=a'),
]
const CUT_OFF = [
  post('/v1/publish', 'Content-Length: 500', '[{"topic":"a"'),
  post('/nowhere', 'Content-Length: 500', '{'),
  post('/v1/publish', 'Transfer-Encoding: chunked', 'ff\r\n['),
]

/** Bodies of requests and responses that one garbage collection leaves. */
const bodies = () => queryObjects(ReadableStream, { format: 'count' }) as number
const timers = () => process.getActiveResourcesInfo().filter((type) => type === 'Timeout').length

onEveryEngine('a request that has ended', (hubs) => {
  it('leaves no body and no timer, however it ended', async () => {
    const { hub } = await hubs.start()
    const openConnections = async () => {
      const { text } = await ask(hub.port, head('GET /metrics', 'Connection: close'))
      return Number(/^fanfare_http_connections (\d+)/m.exec(text)?.[1])
    }
    const answered = async (bytes: string) => expect((await ask(hub.port, bytes)).status).toContain('HTTP/1.1 ')
    const cutOff = async (bytes: string) => {
      const raw = await RawHttp.open(hub.port)
      raw.socket.write(bytes, () => raw.socket.destroy())
      await raw.closed
    }
    const timersBefore = timers()
    for (const _ of range(0, REQUESTS)) {
      await Promise.all([...ANSWERED.map(answered), ...CUT_OFF.map(cutOff)])
    }
    // Those of this request.
    await expect.poll(openConnections).toBeLessThanOrEqual(1)
    // Anything that needs more than one collection fills the heap of a busy hub: the next one may be far away.
    expect(bodies()).toBeLessThan(REQUESTS / 2)
    expect(timers() - timersBefore).toBeLessThan(REQUESTS / 2)
  })
})
