import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { ENGINES } from '../setup/engines.ts'
import { freePort } from '../setup/free-port.ts'
import { HubProcess } from '../setup/hub-process.ts'
import { Peer } from '../setup/peer.ts'

const MAIN = fileURLToPath(new URL('../../dist/server/main.js', import.meta.url))
const THROWS_ON_SIGNAL = fileURLToPath(new URL('throws-on-signal.js', import.meta.url))

it.each(ENGINES)(
  'a hub on %s that meets an exception nothing stops goes on serving, and is not ready',
  async (engine) => {
    const hub = await HubProcess.start({ engine, data: 'memory' }, ['--import', THROWS_ON_SIGNAL])
    const get = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${hub.port}${path}`)
      return { status: response.status, text: await response.text() }
    }
    const peer = await Peer.hello(hub.url)
    expect(await get('/readyz')).toEqual({ status: 200, text: '{"status":"ready"}' })
    for (const signal of ['SIGUSR2', 'SIGWINCH'] as const) hub.signal(signal)
    await expect.poll(async () => JSON.parse((await get('/readyz')).text)).toMatchObject({ unexpectedErrors: 2 })
    expect((await get('/readyz')).status).toBe(503)
    expect((await get('/healthz')).status).toBe(200)
    expect((await get('/metrics')).text).toContain('fanfare_unexpected_errors_total{where="process"} 2')
    await peer.subscribe(1, 'a')
    peer.send({ type: 'publish', seq: 1, topic: 'a', data: 1 })
    expect(await peer.next('message')).toMatchObject({ data: 1 })
    const { code, stderr } = await hub.kill('SIGTERM')
    expect(code).toBe(0)
    expect(stderr).toMatch(/"type":"Error","message":"thrown","stack":"Error: thrown\\n.*throws-on-signal/)
    expect(stderr).toContain('"message":"rejected"')
  },
)

it.each(ENGINES)('a hub on %s that cannot write its log keeps running', async (engine) => {
  const port = await freePort()
  const full = openSync('/dev/full', 'w')
  const hub = spawn(process.execPath, [MAIN, 'serve', '--engine', engine, '--data', 'memory', '--port', String(port)], {
    stdio: ['ignore', 'ignore', full],
  })
  closeSync(full)
  try {
    const url = `ws://127.0.0.1:${port}/`
    const ready = async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).status
    await expect.poll(ready).toBe(200)
    for (let n = 0; n < 3; n++) {
      const peer = await Peer.hello(url)
      peer.send({ type: 'subscribe', sub: 'no number' })
      expect((await peer.closed).code).toBe(4400)
    }
    expect(await (await fetch(`http://127.0.0.1:${port}/readyz`)).json()).toEqual({ status: 'ready' })
    const ended = once(hub, 'exit')
    hub.kill('SIGTERM')
    expect(await ended).toEqual([0, null])
  } finally {
    hub.kill('SIGKILL')
  }
})
