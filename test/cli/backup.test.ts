import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Client, connect } from '../../client/node.ts'
import { fanfare } from '../setup/command.ts'
import { configFile, HubProcess } from '../setup/hub-process.ts'

let folder: string
let config: string
const hubs: HubProcess[] = []
const clients: Client[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fanfare-backup-'))
  config = await configFile(join(folder, 'config.json'), [{ name: 'orders', topics: ['orders.#'] }])
})
afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()))
  await Promise.all(hubs.map((hub) => hub.kill()))
  await rm(folder, { recursive: true, force: true })
})

async function hubOn(data: string): Promise<Client> {
  const hub = await HubProcess.start({ data, config })
  hubs.push(hub)
  const client = connect(hub.url)
  clients.push(client)
  return client
}

function backup(data: string, to: string) {
  return fanfare(['backup', to, '--data', data])
}

it('a copy that is made while the hub writes has all that was kept before, in order, and a hub runs on it', async () => {
  const data = join(folder, 'data')
  const client = await hubOn(data)
  await client.admin.queues.declare({ name: 'work', bindings: [{ topic: 'orders.#' }] })
  let stopped = false
  let published = 0
  const writing = (async () => {
    while (!stopped) {
      await Promise.all(Array.from({ length: 100 }, () => client.publish('orders.new', ++published)))
    }
  })()
  while (published < 2000) await client.call('streams.list')
  const before = (await client.admin.streams.show('orders')).next
  const copying = backup(data, join(folder, 'copy'))
  expect(await copying.exit, copying.stderr).toBe(0)
  stopped = true
  await writing

  const restored = await hubOn(join(folder, 'copy'))
  const { first, next } = await restored.admin.streams.show('orders')
  expect(next - first).toBeGreaterThanOrEqual(before)
  expect(next).toBeLessThanOrEqual(published)
  // What a queue has and what a stream has are of the same moment.
  expect((await restored.admin.queues.show('work')).depth).toBe(next)
  let expected = 0
  for await (const message of restored.subscribe('orders.new', { from: 'earliest' })) {
    expect(message.data).toBe(++expected)
    if (expected === next) break
  }
  // The original has not noticed.
  expect((await client.admin.streams.show('orders')).next).toBe(published)
})

it('refuses a directory that does not belong to a hub, and never writes into one that is not empty', async () => {
  const stranger = await mkdtemp(join(folder, 'stranger-'))
  await writeFile(join(stranger, 'thesis.txt'), 'Chapter 1')
  const ended = await mkdtemp(join(folder, 'ended-'))
  await rm(ended, { recursive: true })
  const hub = await HubProcess.start({ data: ended, config })
  await hub.kill('SIGTERM')

  const intoStranger = backup(ended, stranger)
  expect(await intoStranger.exit).toBe(1)
  expect(intoStranger.stderr).toMatch(/data_foreign.*thesis\.txt/)
  expect(await readdir(stranger)).toEqual(['thesis.txt'])
  const ofStranger = backup(stranger, join(folder, 'nothing'))
  expect(await ofStranger.exit).toBe(1)
  expect(ofStranger.stderr).toMatch(/data_foreign/)
  expect(await backup(ended, join(folder, 'of-ended')).exit).toBe(0)
})
