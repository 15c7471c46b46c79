import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, describe, expect, it } from 'vitest'
import { type Client, connect } from '../../client/node.ts'
import { type Hub, startHub } from '../../server/index.ts'
import { ENGINES } from '../setup/engines.ts'

/** In each phase. The long form is an hour of a busy hub's comings and goings. */
const CYCLES = Number(process.env['FAULTS_CYCLES'] ?? 40)
const CLIENTS = 5
const MESSAGES = 20
const HEAP_SWING = 3 * 1024 * 1024
const FILE_SWING = 2 * 1024 * 1024

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

let folder: string
const hubs: Hub[] = []
afterAll(async () => {
  await Promise.all(hubs.map((hub) => hub.close()))
  await rm(folder, { recursive: true, force: true })
})

describe.each(ENGINES)('coming and going on %s', (engine) => {
  it('leaves no handle, timer, memory or page behind', { timeout: 60_000 + CYCLES * 2000 }, async () => {
    folder = await mkdtemp(join(tmpdir(), 'fanfare-churn-'))
    const hub = await startHub({
      port: 0,
      engine,
      data: join(folder, 'data'),
      dedupIds: 1000,
      streams: [{ name: 'churn', topics: ['churn.#'], maxMessages: 1000 }],
      queues: [{ name: 'churn', bindings: [{ topic: 'churn.#' }] }],
    })
    hubs.push(hub)
    const url = `ws://127.0.0.1:${hub.port}`
    // Caches fill, and the file takes the size that the retention needs.
    await churn(url, CYCLES)
    const before = await held(hub, folder)
    await churn(url, CYCLES)
    const after = await held(hub, folder)
    expect(after.connections).toBe(0)
    expect(after.resources).toEqual(before.resources)
    expect(after.heapBytes - before.heapBytes).toBeLessThan(HEAP_SWING)
    expect(after.fileBytes - before.fileBytes).toBeLessThan(FILE_SWING)
  })
})

async function churn(url: string, cycles: number): Promise<void> {
  for (let cycle = 0; cycle < cycles; cycle++) {
    await Promise.all(Array.from({ length: CLIENTS }, (_, n) => visit(url, n, n === 0 && cycle % 4 === 0)))
  }
}

/** Connects, subscribes, consumes, publishes, asks, and goes; some go without a word. */
async function visit(url: string, n: number, rude: boolean): Promise<void> {
  const client = connect(url)
  let read = 0
  client.subscribe('churn.*', () => {})
  const replay = client.subscribe('churn.#', () => void read++, { cursor: `cursor-${n}`, from: 'latest' })
  const worker = client.consume('churn', () => {})
  const responder = client.respond(`churn-asked.${n}`, ({ data }) => data)
  await Promise.all([replay.ready, worker.ready, responder.ready])
  await Promise.all(Array.from({ length: MESSAGES }, (_, at) => client.publish('churn.a', at, { key: `${at % 3}` })))
  expect(await client.request(`churn-asked.${n}`, 7)).toBe(7)
  if (rude) await client.call('connections.disconnect', { connection: await ownId(client) }).catch(() => {})
  await client.close()
}

async function ownId(client: Pick<Client, 'admin'>): Promise<string> {
  const { connections } = await client.admin.connections.list()
  return (connections[0] as { connection: string }).connection
}

async function held(hub: Hub, data: string) {
  await expect.poll(() => hub.connectionCount).toBe(0)
  // Sockets that are closed are still there until the loop has turned, and a closing handshake has its own timer.
  let resources = resourcesNow()
  await expect
    .poll(() => {
      const last = resources
      resources = resourcesNow()
      return last['TCPSocketWrap'] === undefined && JSON.stringify(last) === JSON.stringify(resources)
    })
    .toBe(true)
  collect()
  const { heapUsed } = process.memoryUsage()
  const { size } = await stat(join(data, 'data', 'data.mdb'))
  return { connections: hub.connectionCount, resources, heapBytes: heapUsed, fileBytes: size }
}

/** How many of each kind the event loop holds: sockets, timers, file requests. */
function resourcesNow(): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of process.getActiveResourcesInfo().sort()) counts[name] = (counts[name] ?? 0) + 1
  return counts
}
