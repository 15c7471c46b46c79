import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Crowd } from '../load/storm-crowd.ts'
import { ENGINES } from '../setup/engines.ts'
import { configFile, HubProcess } from '../setup/hub-process.ts'

/** `npm run load -- storm` has ten thousand, and says how long it takes. */
const CLIENTS = 300
const MESSAGES = 10

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fanfare-storm-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

it.each(ENGINES)(
  'all are cut off at once, by the line and by a kill, and go on where they were: %s',
  async (engine) => {
    const config = await configFile(join(folder, 'hub.json'), [{ name: 'news', topics: ['news'] }])
    // Below the ports that the system gives to clients: one that tries while the hub is away must not take its port.
    const port = 20_000 + Math.floor(Math.random() * 10_000)
    const start = () => HubProcess.start({ engine, port, config, data: join(folder, engine) })
    let hub = await start()
    const crowd = new Crowd(hub.url, 'news')
    try {
      await crowd.join(Array.from({ length: CLIENTS }, () => undefined))
      await crowd.publish(MESSAGES)
      const cut = crowd.lost()
      crowd.cut()
      await cut
      await crowd.publish(MESSAGES)
      const killed = crowd.lost()
      await hub.kill()
      hub = await start()
      await killed
      await crowd.publish(MESSAGES)
      // A message that is not the next one, is a repeat or a gap, would have thrown.
      await crowd.haveAll()
      await crowd.back()
      expect(crowd.received).toBe(CLIENTS * 3 * MESSAGES)
    } finally {
      await crowd.leave()
      await hub.kill()
    }
  },
)
