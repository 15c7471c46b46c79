import { mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { type Client, connect, type FanfareError } from '../../client/node.ts'
import type { StreamPage } from '../../shared/json-message.ts'
import { type RunningCommand, serve } from '../setup/command.ts'
import { configFile } from '../setup/hub-process.ts'
import { range } from '../setup/streams.ts'

const FAILING_WRITES = fileURLToPath(new URL('./failing-writes.cjs', import.meta.url))
const folder = await mkdtemp(join(tmpdir(), 'fanfare-write-'))
afterAll(() => rm(folder, { recursive: true, force: true }))

/** LMDB refuses everything once it could not write the page that makes a commit count. */
async function failNextWrite(command: RunningCommand): Promise<void> {
  const begin = command.stderr.length
  command.process.kill('SIGUSR2')
  await command.said('stderr', new RegExp(`^[^]{${begin}}[^]*writes fail`))
}

const outcome = (promise: Promise<unknown>) =>
  promise.then(
    () => 'kept',
    ({ code }: FanfareError) => code,
  )

describe.skipIf(process.platform !== 'linux')('a disk that fails to write', () => {
  async function start(data: string) {
    const config = await configFile(join(folder, 'config.json'), [{ name: 's', topics: ['a'] }], [{ name: 'q' }])
    const env = { NODE_OPTIONS: `--require=${FAILING_WRITES}` }
    const { command, port, url } = await serve(['--data', data, '--config', config], env)
    return { command, http: `http://127.0.0.1:${port}`, client: connect(url) }
  }

  const stored = async (client: Client) =>
    ((await client.call('streams.read', { name: 's' })) as StreamPage).messages.map(({ data }) => data)

  it('costs what it refuses, and the hub goes on with what it has', async () => {
    const data = join(folder, 'once')
    const { command, client, http } = await start(data)
    const kept: number[] = []
    for (const n of range(0, 40)) {
      if (n % 10 === 5) await failNextWrite(command)
      // Large ones make the file grow, and the hub holds a snapshot of it meanwhile.
      const got = await outcome(client.publish('a', n, { headers: { text: 'x'.repeat(8000) } }))
      expect(got).toBe(n % 10 === 5 ? 'storage_failed' : 'kept')
      if (got === 'kept') kept.push(n)
    }
    await failNextWrite(command)
    expect(await outcome(client.enqueue('q', 'refused'))).toBe('storage_failed')
    await client.enqueue('q', 'kept')
    expect(await stored(client)).toEqual(kept)
    expect((await fetch(`${http}/readyz`)).status).toBe(200)
    await client.close()
    command.signal('SIGTERM')
    expect(await command.exit).toBe(0)
    const again = await start(data)
    expect(await stored(again.client)).toEqual(kept)
    expect(await again.client.admin.queues.show('q')).toMatchObject({ depth: 1 })
    await again.client.close()
  })

  it('and has lost the file is reported by /readyz, and nothing more is taken', async () => {
    const data = join(folder, 'lost')
    const { command, client, http } = await start(data)
    await client.publish('a', 0)
    await failNextWrite(command)
    await rename(join(data, 'data.mdb'), join(data, 'away'))
    // It may be in the file that is gone.
    expect(await outcome(client.publish('a', 1))).toBe('outcome_unknown')
    for (const n of range(2, 4)) expect(await outcome(client.publish('a', n))).toBe('storage_failed')
    expect((await fetch(`${http}/readyz`)).status).toBe(503)
    expect((await fetch(`${http}/healthz`)).status).toBe(200)
    expect(await outcome(client.publish('live', 1))).toBe('kept')
    await client.close()
  })
})
