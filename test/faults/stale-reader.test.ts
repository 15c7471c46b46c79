import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { connect } from '../../client/node.ts'
import { configFile, HubProcess } from '../setup/hub-process.ts'

const folder = await mkdtemp(join(tmpdir(), 'fanfare-stale-'))
afterAll(() => rm(folder, { recursive: true, force: true }))

/** Reads in a transaction, as a backup does, until it is killed. */
const READ = `
  const db = require('lmdb').open({ path: process.argv[1], noSubdir: true, readOnly: true, encoding: 'binary' })
  const held = db.useReadTransaction()
  for (const _ of db.getRange({ limit: 1, transaction: held })) console.log('reading')
  setInterval(() => held, 1000)
`

it('a reader that was killed does not make the file grow', async () => {
  const config = await configFile(join(folder, 'config.json'), [{ name: 'log', topics: ['log'], maxBytes: 1_000_000 }])
  const data = join(folder, 'data')
  const hub = await HubProcess.start({ data, config })
  const client = connect(hub.url)
  const size = async () => (await stat(join(data, 'data.mdb'))).size
  const publish = async (count: number) => {
    for (let n = 0; n < count; n++) await client.publish('log', 'x'.repeat(50_000))
  }
  try {
    await publish(100)
    const reader = spawn(process.execPath, ['-e', READ, join(data, 'data.mdb')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(reader.stdout, 'data')
    reader.kill('SIGKILL')
    await once(reader, 'close')
    // The hub looks for readers that are gone every few seconds; then it uses their pages again.
    const grown = async (count: number) => {
      const before = await size()
      await publish(count)
      return (await size()) - before
    }
    await expect.poll(() => grown(300), { timeout: 50_000 }).toBeLessThan(5_000_000)
  } finally {
    await client.close()
    await hub.kill()
  }
})
