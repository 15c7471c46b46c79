import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, statfs, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { type Client, connect } from '../../client/node.ts'
import { configFile, EndedEarly, HubProcess } from '../setup/hub-process.ts'
import { type SmallDisk, smallDisk } from '../setup/small-disk.ts'

const trial = await smallDisk(1)
await trial?.remove()
if (!trial)
  process.stdout.write('The tests of a reused file are skipped: they mount a small tmpfs, and this user may not.\n')

const PADDING = 'x'.repeat(20_000)

describe.skipIf(!trial)('a disk without room', async () => {
  // Elsewhere: the disk has no room for it.
  const elsewhere = await mkdtemp(join(tmpdir(), 'fanfare-reuse-'))
  const config = await configFile(
    join(elsewhere, 'config.json'),
    [{ name: 'log', topics: ['log'] }],
    [{ name: 'jobs' }],
  )
  afterAll(() => rm(elsewhere, { recursive: true }))

  let disk: SmallDisk
  let folder: string
  const hubs: HubProcess[] = []
  const clients: Client[] = []

  async function mount(megabytes: number): Promise<void> {
    disk = (await smallDisk(megabytes)) as SmallDisk
    folder = disk.path
  }

  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()))
    await Promise.all(hubs.splice(0).map((hub) => hub.kill()))
    await disk.remove()
  })

  async function startProcess(): Promise<HubProcess> {
    const hub = await HubProcess.start({ data: join(folder, 'data'), config })
    hubs.push(hub)
    return hub
  }

  async function start(): Promise<{ hub: HubProcess; client: Client }> {
    const hub = await startProcess()
    const client = connect(hub.url)
    clients.push(client)
    return { hub, client }
  }

  /** Until the disk is full: first in large commits, then up to the last page. Gives how many were kept. */
  async function fill(publish: () => Promise<unknown>): Promise<number> {
    let kept = 0
    for (const atOnce of [20, 1]) {
      for (let refused = 0; refused === 0; ) {
        const results = await Promise.allSettled(Array.from({ length: atOnce }, publish))
        for (const result of results) {
          if (result.status === 'fulfilled') kept++
          else if (++refused) expect(result.reason.code).toBe('storage_full')
        }
      }
    }
    return kept
  }

  it('takes messages again after each trim, and after a restart', async () => {
    await mount(32)
    let { hub, client } = await start()
    const publish = () => client.publish('log', PADDING)
    const full = await fill(publish)
    expect(full).toBeGreaterThan(500)
    for (const how of ['SIGTERM', 'SIGKILL'] as const) {
      await client.admin.streams.trim('log')
      expect(await fill(publish)).toBeGreaterThan(full / 2)
      await client.admin.streams.trim('log')
      await client.close()
      await hub.kill(how)
      ;({ hub, client } = await start())
      expect(await fill(publish)).toBeGreaterThan(full / 2)
    }
  })

  it('takes messages again when a queue has been drained, and after a restart', async () => {
    await mount(32)
    let { hub, client } = await start()
    const publish = () => client.enqueue('jobs', PADDING)
    const full = await fill(publish)
    let left = full
    for (let round = 0; round < 2; round++) {
      for await (const delivery of client.consume('jobs')) {
        await delivery.ack()
        if (--left === 0) break
      }
      await client.close()
      await hub.kill()
      ;({ hub, client } = await start())
      left = await fill(publish)
      expect(left).toBeGreaterThan(full / 2)
    }
  })

  it('is not harmed by another program that takes all room, and gives it back, at any moment', async () => {
    await mount(32)
    const { hub, client } = await start()
    const file = join(folder, 'racer')
    const take = `while :; do head -c 32m /dev/zero > '${file}' 2>/dev/null; rm '${file}'; done`
    const racer = spawn('sh', ['-c', take])
    const kept: string[] = []
    for (let n = 0; n < 1500; n += 5) {
      const ids = Array.from({ length: 5 }, (_, at) => `m${n + at}`)
      const results = await Promise.allSettled(ids.map((id) => client.publish('log', PADDING, { id })))
      for (const [at, result] of results.entries()) {
        if (result.status === 'fulfilled') kept.push(ids[at] as string)
        else expect(result.reason.code).toBe('storage_full')
      }
      if (results.every(({ status }) => status === 'fulfilled')) continue
      await client.admin.streams.trim('log')
      kept.splice(0)
    }
    racer.kill()
    await once(racer, 'close')
    await rm(file, { force: true })
    await client.publish('log', 'last', { id: 'last' })
    const found: string[] = []
    for await (const { id } of client.subscribe('log', { from: 'earliest' })) {
      found.push(id)
      if (id === 'last') break
    }
    expect(found).toEqual([...kept, 'last'])
    await client.close()
    expect(await hub.kill('SIGTERM')).toMatchObject({ code: 0 })
  })

  it.each([0, 4, 12])('harms no first start: with %i KiB free, then with more', async (free) => {
    await mount(8)
    const filler = join(folder, 'filler')
    const { bavail, bsize } = await statfs(folder)
    await writeFile(filler, Buffer.alloc(bavail * bsize - free * 1024))
    const first = await startProcess().catch((error: unknown) => {
      if (error instanceof EndedEarly) return error.end
      throw error
    })
    const end = first instanceof HubProcess ? await first.kill('SIGTERM') : first
    expect(end.signal).toBeNull()
    if (end.code !== 0) expect(end.stderr).toMatch(/data_unusable|storage_full/)
    await rm(filler)
    const { client } = await start()
    await client.publish('log', PADDING)
  })
})
