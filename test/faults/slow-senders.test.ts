import { setTimeout as wait } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { startHub } from '../../server/index.ts'
import { ENGINES } from '../setup/engines.ts'
import { RawHttp } from '../setup/raw-http.ts'

const GET = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n'
const BODY = 'POST /v1/topics/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n'

/** What a peer sends first, and then each half second. */
const SLOW: [string, string, string][] = [
  ['nothing', '', ''],
  ['half a head', 'GET /heal', ''],
  ['a head that never ends', GET, 'x: 1\r\n'],
  ['no body', BODY, ''],
  ['a slow body', BODY, '1'],
  ['slow chunks', BODY.replace('Content-Length: 9999', 'Transfer-Encoding: chunked'), '1\r\n1\r\n'],
  ['the slow body of a GET', BODY.replace(/POST \S+/, 'GET /healthz'), '1'],
  ['nothing after an answer', `${GET}\r\n`, ''],
]

it('a peer that sends too slowly loses its connection within a minute, on every engine', async () => {
  const hubs = await Promise.all(ENGINES.map((engine) => startHub({ port: 0, engine })))
  const peers = hubs.flatMap((hub, at) =>
    SLOW.map(async ([name, first, more]) => {
      const raw = await RawHttp.open(hub.port)
      raw.socket.write(first)
      const timer = setInterval(() => void (raw.socket.writable && more && raw.socket.write(more)), 500)
      await Promise.race([raw.closed, wait(60_000)])
      clearInterval(timer)
      const ended = raw.socket.destroyed
      raw.socket.destroy()
      return ended ? [] : [`${name} on ${ENGINES[at]}`]
    }),
  )
  expect((await Promise.all(peers)).flat()).toEqual([])
  await Promise.all(hubs.map((hub) => hub.close()))
})
