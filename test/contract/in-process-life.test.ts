import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { connect } from '../../client/node.ts'
import { Access } from '../../server/auth/access.ts'
import { InProcess } from '../../server/in-process/in-process.ts'
import { createHub, FanfareError } from '../../server/index.ts'
import { realClock } from '../../shared/clock.ts'
import { RunningCommand } from '../setup/command.ts'

describe('the process', () => {
  /** What a program does with `hub` and `client` before it has nothing left to do. */
  const run = (body: string) => {
    const program = `
      import { createHub } from 'fanfare/server'
      const hub = await createHub({ queues: [{ name: 'q' }] })
      const client = hub.connect({ backoff: { base: 600_000, cap: 600_000 } })
      client.consume('q', () => {})
      client.respond('sums', () => 1)
      client.subscribe('a', ({ data }) => console.log(data))
      await client.publish('a', 'got it')
      ${body}`
    return new RunningCommand(process.execPath, ['--input-type=module', '--eval', program])
  }

  it.each([
    ['the client and the hub are closed', 'await client.close(); await hub.close()'],
    ['the hub is closed', 'await hub.close()'],
    ['the hub is closed, and its client after it', 'await hub.close(); await client.close()'],
    [
      'the hub is closed while its client waits to connect again',
      `const [{ connection }] = (await hub.connect().admin.connections.list()).connections
      const away = new Promise((resolve) => client.onState(resolve))
      await hub.connect().admin.connections.disconnect(connection)
      await away
      await hub.close()`,
    ],
    ['the client is closed, on a hub that does not listen', 'await client.close()'],
  ])('ends by itself when %s', async (_, body) => {
    const program = run(body)
    expect(await program.exit, program.stderr).toBe(0)
    expect([program.stdout, program.stderr]).toEqual(['got it\n', ''])
  })
})

describe('before the hub has started', () => {
  it('publishes and subscriptions are sent once it has started', async () => {
    const hub = await createHub({ queues: [{ name: 'q' }] })
    const client = hub.connect()
    const got: unknown[] = []
    client.subscribe('a', ({ data }) => void got.push(data))
    const kept = client.enqueue('q', 1)
    expect(client.state).toBe('connecting')
    const server = createServer()
    await hub.attach(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(async () => {
      await hub.close()
      server.close()
    })
    const remote = connect(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    await remote.publish('a', 'from afar')
    await remote.close()
    expect(await kept).toMatchObject({ queues: ['q'] })
    await expect.poll(() => got).toEqual(['from afar'])
    expect(await client.admin.hub.show()).toMatchObject({ engine: 'ws' })
  })

  it('an error at start closes its clients, and no new ones are accepted', async () => {
    const damaged = new FanfareError('data_damaged')
    const own = new InProcess({
      frameBytes: 1_000,
      clock: realClock,
      start: () => Promise.reject(damaged),
      identify: () => new Access({ subject: 'in-process', permissions: {} }, () => {}),
      open: () => undefined,
    })
    const client = own.connect({})
    const loop = client.subscribe('a')[Symbol.asyncIterator]().next()
    await expect(client.publish('a', 1)).rejects.toBe(damaged)
    await expect(loop).rejects.toMatchObject({ code: 'data_damaged' })
    expect(() => own.connect({})).toThrow(damaged)
  })

  it('a hub that is closed then notifies its clients', async () => {
    const hub = await createHub()
    const client = hub.connect()
    const publish = expect(client.publish('a', 1)).rejects.toMatchObject({ code: 'shutting_down' })
    await hub.close()
    await publish
    await expect(client.ready()).rejects.toMatchObject({ code: 'shutting_down' })
  })
})
