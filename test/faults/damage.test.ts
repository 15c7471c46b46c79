import { createHash } from 'node:crypto'
import { cp, mkdir, mkdtemp, open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connect } from '../../client/node.ts'
import { configFile, type End, EndedEarly, HubProcess } from '../setup/hub-process.ts'
import { seeded } from '../setup/seeded.ts'

let folder: string
/** An intact data directory; each test damages a copy. */
let good: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fanfare-damage-'))
  good = join(folder, 'good')
  const config = await configFile(join(folder, 'config.json'), [{ name: 'log', topics: ['log.#'] }])
  const hub = await HubProcess.start({ data: good, config })
  const client = connect(hub.url)
  // One by one, which makes many small blocks, and then some that have pages of their own.
  for (let n = 0; n < 200; n++) await client.publish(`log.${n}`, n)
  for (let round = 0; round < 5; round++) {
    await Promise.all(Array.from({ length: 200 }, (_, n) => client.publish('log.a', `${n} ${'x'.repeat(500)}`)))
  }
  await client.close()
  await hub.kill('SIGTERM')
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function copy(name: string): Promise<string> {
  const to = join(folder, name.replace(/\W/g, '-'))
  await cp(good, to, { recursive: true })
  return to
}

/** The content of a directory, byte for byte, except for LMDB's table of readers, which is recreated at each start. */
async function fingerprint(path: string): Promise<Record<string, string>> {
  const prints: Record<string, string> = {}
  for (const name of (await readdir(path)).filter((entry) => entry !== 'data.mdb-lock')) {
    prints[name] = createHash('sha256')
      .update(await readFile(join(path, name)))
      .digest('hex')
  }
  return prints
}

/** The part of its file that LMDB uses: after the last page there is free space. */
async function usedBytes(name: string): Promise<number> {
  const file = await readFile(name)
  const [first, second] = [file.subarray(24), file.subarray(4096 + 24)]
  const newest = second.readBigUInt64LE(128) > first.readBigUInt64LE(128) ? second : first
  return (Number(newest.readBigUInt64LE(120)) + 1) * 4096
}

async function overwrite(file: string, at: number, bytes: Buffer): Promise<void> {
  const handle = await open(file, 'r+')
  await handle.write(bytes, 0, bytes.length, at)
  await handle.close()
}

function garbage(length: number, seed = 1): Buffer {
  const random = seeded(seed)
  return Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)))
}

async function expectRefusal(data: string, code: string): Promise<void> {
  const before = await fingerprint(data)
  await expectRefused(await HubProcess.refusal({ data }), code, data, before)
}

async function expectRefused(end: End, code: string, data: string, before: Record<string, string>): Promise<void> {
  expect(end.stderr).toContain(`fanfare: ${code}: `)
  expect(end).toMatchObject({ code: 1, signal: null })
  expect(await fingerprint(data)).toEqual(before)
}

describe('a damaged data directory is refused and left as it is', () => {
  const damages: Record<string, (file: string, size: number) => Promise<void>> = {
    'cut to half': (file, bytes) => truncate(file, bytes / 2),
    'cut to three quarters': (file, bytes) => truncate(file, (bytes * 3) / 4),
    'cut to one page': (file) => truncate(file, 4096),
    'cut to nothing': (file) => truncate(file, 0),
    'garbage over the header': (file) => overwrite(file, 0, garbage(256)),
    'garbage over the second header': (file) => overwrite(file, 4096, garbage(256)),
    'zeros from the header on': (file) => overwrite(file, 0, Buffer.alloc(8192)),
    'garbage after the headers': (file, bytes) => overwrite(file, 8192, garbage(bytes - 8192)),
  }
  for (const [name, damage] of Object.entries(damages)) {
    it(`data.mdb: ${name}`, async () => {
      const data = await copy(name)
      await damage(join(data, 'data.mdb'), await usedBytes(join(data, 'data.mdb')))
      await expectRefusal(data, 'data_damaged')
    })
  }

  it.each(['', '{', '[]', '{"format":"1"}'])('fanfare.json: %j', async (text) => {
    const data = await copy(`marker ${Buffer.from(text).toString('hex')}`)
    await writeFile(join(data, 'fanfare.json'), text)
    await expectRefusal(data, 'data_damaged')
  })
})

it('damage in one page, anywhere, is found at the start or when that page is read', async () => {
  const data = await copy('one page')
  const file = join(data, 'data.mdb')
  const pages = (await usedBytes(file)) / 4096
  const random = seeded(7)
  const outcomes = { refused: 0, told: 0, untouched: 0 }
  for (let round = 0; round < 6; round++) {
    await cp(join(good, 'data.mdb'), file)
    await overwrite(file, Math.floor(2 + random() * (pages - 2)) * 4096, garbage(4096, round))
    outcomes[await startAndRead(data)]++
  }
  expect(outcomes.refused + outcomes.told).toBeGreaterThan(0)
})

/** Starts a hub and reads the stream; fails where the hub ends by a signal, or shows something that is not right. */
async function startAndRead(data: string): Promise<'refused' | 'told' | 'untouched'> {
  const before = await fingerprint(data)
  const hub = await HubProcess.start({ data }).catch((error: EndedEarly) => error)
  if (hub instanceof EndedEarly) {
    await expectRefused(hub.end, 'data_damaged', data, before)
    return 'refused'
  }
  const client = connect(hub.url)
  let read = 0
  try {
    for await (const message of client.subscribe('log.#', { from: 'earliest' })) {
      if (message.topic !== 'log.a') expect(message.data).toBe(read)
      if (++read === 1200) return 'untouched'
    }
    throw new Error('The subscription has ended by itself')
  } catch (error) {
    expect(error).toMatchObject({ code: 'data_damaged' })
    return 'told'
  } finally {
    await client.publish('live', 1)
    await client.close()
    expect(await hub.kill('SIGTERM')).toMatchObject({ code: 0 })
  }
}

describe('a foreign directory is refused and left as it is', () => {
  it('the directory has files of another program', async () => {
    const data = await mkdtemp(join(folder, 'foreign-'))
    await writeFile(join(data, 'thesis.txt'), 'years of work')
    await expectRefusal(data, 'data_foreign')
  })

  it('a database of another program', async () => {
    const data = await mkdtemp(join(folder, 'foreign-'))
    await cp(join(good, 'data.mdb'), join(data, 'data.mdb'))
    await expectRefusal(data, 'data_foreign')
  })

  it('a later version of the hub', async () => {
    const data = await copy('later')
    await writeFile(join(data, 'fanfare.json'), '{"format":2}')
    await expectRefusal(data, 'data_foreign')
  })

  it('a marker that cannot be read', async () => {
    const data = await mkdtemp(join(folder, 'foreign-'))
    await mkdir(join(data, 'fanfare.json'))
    expect(await HubProcess.refusal({ data })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('data_unusable'),
    })
    expect(await readdir(data)).toEqual(['fanfare.json'])
  })

  it('a file', async () => {
    const data = join(folder, 'file')
    await writeFile(data, 'text')
    expect(await HubProcess.refusal({ data })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('data_unusable'),
    })
    expect(await readFile(data, 'utf8')).toBe('text')
  })
})
