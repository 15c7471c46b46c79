import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { ENGINES } from '../setup/engines.ts'
import { HubProcess } from '../setup/hub-process.ts'
import { Peer } from '../setup/peer.ts'

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
