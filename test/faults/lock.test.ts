import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fanfare } from '../setup/command.ts'
import { HubProcess } from '../setup/hub-process.ts'

let folder: string
const hubs: HubProcess[] = []
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fanfare-lock-'))
})
afterAll(async () => {
  await Promise.all(hubs.map((hub) => hub.kill()))
  await rm(folder, { recursive: true, force: true })
})

async function start(data: string): Promise<HubProcess> {
  const hub = await HubProcess.start({ data, 'lock-wait': 0 })
  hubs.push(hub)
  return hub
}

describe.each([
  ['a short path', 'data'],
  ['a path that no socket address holds', `${'deep'.repeat(20)}/${'deeper'.repeat(20)}/data`],
])('two hubs on one directory, under %s', (_, path) => {
  it('the second refuses, and the first does not notice', async () => {
    const data = join(folder, path)
    const first = await start(data)
    for (let round = 0; round < 2; round++) {
      expect(await HubProcess.refusal({ data, 'lock-wait': 0 })).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('data_locked'),
      })
    }
    expect((await fetch(`http://127.0.0.1:${first.port}/healthz`)).status).toBe(200)
    await first.kill('SIGTERM')
    await (await start(data)).kill('SIGTERM')
  })

  it('one takes over at once from one that was killed', async () => {
    const data = join(folder, path, 'killed')
    for (let round = 0; round < 2; round++) await (await start(data)).kill()
    await start(data)
    expect(await HubProcess.refusal({ data, 'lock-wait': 0 })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('data_locked'),
    })
  })

  it('of many that start at once after a kill, one gets it', async () => {
    const data = join(folder, path, 'many')
    await (await start(data)).kill()
    const starts = await Promise.allSettled(Array.from({ length: 3 }, () => start(data)))
    expect(starts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const result of starts) {
      if (result.status === 'rejected') expect(`${result.reason}`).toContain('data_locked')
    }
  })
})

it('the second does not wait for the directory where the first still has the port', async () => {
  const data = join(folder, 'port')
  const { port } = await start(data)
  const { code, stderr } = await HubProcess.refusal({ data, port, 'lock-wait': 600_000 })
  expect(code).toBe(1)
  expect(stderr).toContain(`port_in_use: The hub cannot listen on 127.0.0.1:${port}: another process listens there`)
  expect(stderr).not.toContain('waiting for another hub')
})

it('the second waits for the first to end', async () => {
  const data = join(folder, 'replaced')
  const first = await start(data)
  const second = fanfare(['serve', '--port', '0', '--data', data, '--lock-wait', '60000'])
  await second.said('stderr', /waiting for another hub/)
  expect((await fetch(`http://127.0.0.1:${first.port}/healthz`)).status).toBe(200)
  expect(second.stderr).not.toContain('listening')
  await first.kill('SIGTERM')
  await second.said('stderr', /"msg":"listening"/)
  second.signal('SIGTERM')
  expect(await second.exit).toBe(0)
})
