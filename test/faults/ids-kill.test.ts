import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { type Client, connect } from '../../client/node.ts'
import { hashApiKey, newApiKey } from '../../server/auth/api-key.ts'
import { freePort } from '../setup/free-port.ts'
import { HubProcess } from '../setup/hub-process.ts'
import { QueueReader } from '../setup/queues.ts'

it('whose a message is, and what was deleted and purged, is known after a kill -9, too', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fanfare-ids-'))
  const port = await freePort()
  const keys = { ann: newApiKey(), bob: newApiKey() }
  const clients: Client[] = []
  const config = join(folder, 'config.json')
  let hub: HubProcess | undefined
  onTestFinished(async () => {
    await Promise.all(clients.map((client) => client.close()))
    await hub?.kill()
    await rm(folder, { recursive: true, force: true })
  })
  const apiKeys = Object.entries(keys).map(([name, key]) => ({
    name,
    hash: hashApiKey(key),
    permissions: { publish: ['s'] },
  }))
  const auth = { anonymous: 'allow', apiKeys }
  await writeFile(config, JSON.stringify({ auth, streams: [{ name: 's', topics: ['s'] }], queues: [{ name: 'q' }] }))
  const restart = async () => {
    await hub?.kill()
    hub = await HubProcess.start({ data: join(folder, 'data'), port, config })
  }
  const client = (token?: string) => {
    const made = connect(`ws://127.0.0.1:${port}/`, {
      backoff: { base: 10, cap: 50 },
      ...(token !== undefined && { token }),
    })
    clients.push(made)
    return made
  }

  await restart()
  const [ann, bob, operator] = [client(keys.ann), client(keys.bob), client()]
  const duplicates = async () => {
    const receipts = [
      await ann.publish('s', 1, { id: 'one' }),
      await bob.publish('s', 1, { id: 'one' }),
      await operator.enqueue('q', 1, { id: 'one' }),
      await operator.enqueue('later', 1, { id: 'one' }),
    ]
    return receipts.map(({ duplicate }) => duplicate)
  }
  await operator.admin.queues.declare({ name: 'later' })
  expect(await duplicates()).toEqual([false, false, false, false])
  await restart()
  expect(await duplicates()).toEqual([true, true, true, true])
  await operator.admin.queues.purge('q')
  await operator.admin.queues.delete('later')
  await operator.admin.streams.declare({ name: 'gone', topics: ['gone'] })
  await operator.admin.streams.delete('gone')
  await restart()
  // The new queue would have the number of the deleted stream, or of the queue of its own name.
  await operator.admin.queues.declare({ name: 'later' })
  expect(await duplicates()).toEqual([true, true, false, false])
  await restart()
  expect(await duplicates()).toEqual([true, true, true, true])
  expect(await new QueueReader(operator, 'later').done(1)).toEqual([1])
})
