import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Client, connect, type SubscriptionGap } from '../../client/node.ts'
import { fanfare } from '../setup/command.ts'
import { ENGINES, suiteOn } from '../setup/engines.ts'
import { freePort } from '../setup/free-port.ts'
import { configFile, HubProcess } from '../setup/hub-process.ts'
import { Reader } from '../setup/reader.ts'

let folder: string
let config: string
const hubs: HubProcess[] = []
const clients: Client[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fanfare-restore-'))
  config = await configFile(join(folder, 'config.json'), [{ name: 'orders', topics: ['orders'] }])
})
afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()))
  await Promise.all(hubs.map((hub) => hub.kill()))
  await rm(folder, { recursive: true, force: true })
})

function clientOf(url: string): Client {
  const client = connect(url)
  clients.push(client)
  return client
}

async function publish(client: Client, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n++) await client.publish('orders', n)
}

/** How a copy of the data is made, and whether the hub can see that it is one. */
const COPIES: Record<string, (data: string, to: string) => Promise<void>> = {
  'a backup': async (data, to) => {
    const copying = fanfare(['backup', to, '--data', data])
    expect(await copying.exit, copying.stderr).toBe(0)
  },
  'a copy of the volume': async (data, to) => {
    await cp(data, to, { recursive: true, filter: (name) => !name.includes('lock') })
  },
}

for (const engine of ENGINES) {
  for (const [name, copy] of Object.entries(COPIES)) {
    describe(suiteOn(engine, `${name} is restored: its readers`), () => {
      it('get a gap, and miss nothing that was kept since', async () => {
        const data = await mkdtemp(join(folder, 'data-'))
        const saved = join(data, '..', `${engine}-${name}`)
        const port = await freePort()
        const start = async () => {
          const hub = await HubProcess.start({ data, config, port, engine })
          hubs.push(hub)
          return hub
        }
        const first = await start()
        const publisher = clientOf(first.url)
        await publish(publisher, 0, 5)
        const gaps: SubscriptionGap[] = []
        const options = {
          from: 'earliest',
          cursor: 'billing',
          onGap: (gap: SubscriptionGap) => gaps.push(gap),
        } as const
        const subscription = clientOf(first.url).subscribe('orders', options)
        const reader = new Reader(subscription)
        expect(await reader.data(5)).toEqual([0, 1, 2, 3, 4])
        const { epoch } = await publisher.admin.streams.show('orders')
        await copy(data, saved)
        // These will be lost, and their offsets come again.
        await publish(publisher, 5, 20)
        expect(await reader.data(15)).toHaveLength(15)
        await subscription.commit()

        await first.kill()
        await rm(data, { recursive: true })
        await cp(saved, data, { recursive: true })
        await start()
        const restored = await publisher.admin.streams.show('orders')
        expect(restored.next).toBe(5)
        if (name === 'a backup') expect(restored.epoch).not.toBe(epoch)
        await publish(publisher, 100, 110)
        // The reader's place is in a log that is gone, so it gets all that is there.
        expect(await reader.data(15)).toEqual([0, 1, 2, 3, 4, ...Array.from({ length: 10 }, (_, n) => 100 + n)])
        expect(gaps.map(({ reason }) => reason)).toContain('epoch')
      })
    })
  }
}
