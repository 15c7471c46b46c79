import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { type Client, connect, type Receipt } from '../../client/node.ts'
import { failuresIn } from '../setup/failed-commits.ts'
import { configFile, HubProcess } from '../setup/hub-process.ts'
import { smallDisk } from '../setup/small-disk.ts'

const disk = await smallDisk(16)
if (!disk)
  process.stdout.write('The disk-full test is skipped: it mounts a small tmpfs, and this user may not mount.\n')

describe.skipIf(!disk)('a full disk', () => {
  const folder = disk?.path as string
  const filler = join(folder, 'filler')
  const data = join(folder, 'data')
  const kept: number[] = []
  let next = 0
  let hub: HubProcess
  let client: Client

  afterAll(async () => {
    await client?.close()
    await hub?.kill()
    await disk?.remove()
  })

  async function start(): Promise<void> {
    const config = await configFile(join(folder, 'config.json'), [{ name: 'log', topics: ['log.#'] }])
    hub = await HubProcess.start({ data, config })
    client = connect(hub.url)
  }

  /** Publishes this many at once; returns the codes of those that were refused, and records the others. */
  async function publish(count: number, bytes = 20_000): Promise<string[]> {
    const padding = 'x'.repeat(bytes)
    const publishes: Promise<Receipt>[] = []
    for (let n = 0; n < count; n++) publishes.push(client.publish('log.a', { n: next + n, padding }))
    const codes: string[] = []
    for (const [n, result] of (await Promise.allSettled(publishes)).entries()) {
      if (result.status === 'fulfilled') kept.push(next + n)
      else codes.push(result.reason.code)
    }
    next += count
    return codes
  }

  async function fill(): Promise<string[]> {
    for (;;) {
      const codes = await publish(20)
      if (codes.length > 0) return codes
    }
  }

  /** A large commit may find no room where a small one does: up to the last page. */
  async function fillUp(): Promise<void> {
    for (const bytes of [20_000, 2_000, 1]) while ((await publish(1, bytes)).length === 0);
  }

  async function replay(): Promise<number[]> {
    const numbers: number[] = []
    for await (const { data } of client.subscribe('log.a', { from: 'earliest' })) {
      numbers.push((data as { n: number }).n)
      if (numbers.at(-1) === kept.at(-1)) break
    }
    return numbers
  }

  it('refuses what it cannot keep, and keeps what it took', async () => {
    await writeFile(filler, Buffer.alloc(8 * 1024 * 1024))
    await start()
    expect(new Set(await fill())).toEqual(new Set(['storage_full']))
    expect(kept.length).toBeGreaterThan(0)
    expect(await replay()).toEqual(kept)
  })

  it('does not touch live topics', async () => {
    const seen = client.subscribe('live.a')
    await seen.ready
    await client.publish('live.a', 1)
    for await (const { data } of seen) {
      expect(data).toBe(1)
      break
    }
  })

  it('works again once there is room, in the same process', async () => {
    await rm(filler)
    expect(await publish(10)).toEqual([])
    expect(await replay()).toEqual(kept)
    await expect
      .poll(() => failuresIn(hub))
      .toMatchObject([
        { level: 50, msg: 'a commit failed', code: 'storage_full' },
        { level: 40, msg: 'commits succeed again', code: 'storage_full', failed: expect.any(Number) },
      ])
  })

  it('stops when asked to, right after a failure', async () => {
    expect(new Set(await fill())).toEqual(new Set(['storage_full']))
    await client.close()
    expect(await hub.kill('SIGTERM')).toMatchObject({ code: 0 })
  })

  it('starts on the full disk, and has everything', async () => {
    await start()
    expect(await replay()).toEqual(kept)
    expect(new Set(await fill())).toEqual(new Set(['storage_full']))
    expect(await replay()).toEqual(kept)
  })

  it('has room again when an operator trims', async () => {
    await fillUp()
    const { next } = await client.admin.streams.show('log')
    await client.admin.streams.trim('log', next - 5)
    kept.splice(0, kept.length - 5)
    expect(await publish(10)).toEqual([])
    expect(await replay()).toEqual(kept)
  })

  it('can be trimmed when another process has taken the very last byte', async () => {
    await expect(writeFile(filler, Buffer.alloc(16 * 1024 * 1024))).rejects.toMatchObject({ code: 'ENOSPC' })
    const { next } = await client.admin.streams.show('log')
    expect(await client.admin.streams.trim('log', next - 2)).toMatchObject({ first: next - 2 })
    kept.splice(0, kept.length - 2)
    // What was trimmed is free space in the file, which no other process can take.
    expect(await publish(10)).toEqual([])
    await rm(filler)
    expect(await publish(10)).toEqual([])
    expect(await replay()).toEqual(kept)
  })
})
