import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fanfare } from '../setup/command.ts'
import { EndedEarly, HubProcess } from '../setup/hub-process.ts'

const NO_SOCKETS = fileURLToPath(new URL('./no-sockets.cjs', import.meta.url))

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fanfare-directory-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** What file systems, desktops, devices and operators put into a volume. Names that end with a slash are directories. */
const HARMLESS = [
  'lost+found/#1234',
  '.snapshot/hourly.0/',
  '.DS_Store',
  '.gitkeep',
  '.keep',
  '..data/file',
  '.Trash-1000/info/',
  'aquota.user',
  'quota.group',
  'System Volume Information/x',
  '$RECYCLE.BIN/x',
  '@eaDir/x',
  'hub.log',
  'hub.log.1.gz',
  'fanfare.pid',
  'empty/',
]

async function volumeWith(...names: string[]): Promise<string> {
  const path = await mkdtemp(join(folder, 'volume-'))
  for (const name of names) {
    const whole = join(path, name)
    await mkdir(name.endsWith('/') ? whole : dirname(whole), { recursive: true })
    if (!name.endsWith('/')) await writeFile(whole, 'something')
  }
  return path
}

describe('a directory that is not empty', () => {
  it('accepts a new volume that contains no data but other entries, for a hub and for a copy', async () => {
    const data = await volumeWith(...HARMLESS)
    const hub = await HubProcess.start({ data })
    expect(await hub.kill('SIGTERM')).toMatchObject({ code: 0 })
    const copy = fanfare(['backup', await volumeWith(...HARMLESS), '--data', data])
    expect(await copy.exit, copy.stderr).toBe(0)
  })

  it('is refused at once where the system makes none', async () => {
    const data = '/proc/fanfare/data'
    const { code, stderr } = await HubProcess.refusal({ data })
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining(`data directory ${data} cannot be used`),
    })
    const copy = fanfare(['backup', data, '--data', await volumeWith()])
    expect(await copy.exit).toBe(1)
  })

  it.each(['data.mdb', 'base/1/2345', 'thesis.txt'])('refuses one that holds %s', async (name) => {
    const { code, stderr } = await HubProcess.refusal({ data: await volumeWith(name) })
    expect(code).toBe(1)
    expect(stderr).toMatch(/data_foreign/)
  })
})

it.each(['ENOTSUP', 'EACCES'])('names a file system without Unix sockets: %s', async (code) => {
  const data = join(folder, code)
  process.env['CODE'] = code
  const start = HubProcess.start({ data }, ['--require', NO_SOCKETS])
  delete process.env['CODE']
  const error = await start.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(EndedEarly)
  const { stderr } = (error as EndedEarly).end
  expect(stderr).toMatch(new RegExp(`data_unusable: .*refuses Unix sockets \\(${code}\\)`))
})
