import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { connect } from '../../client/node.ts'
import { startHub } from '../../server/index.ts'
import { block } from '../setup/block.ts'
import { FlakyNetwork } from '../setup/flaky-network.ts'
import { range } from '../setup/streams.ts'
import { hearUncaught } from '../setup/uncaught.ts'

it('a handler that blocks while its client reconnects sends nothing on a socket that is not open', async () => {
  const hub = await startHub({ port: 0, logLevel: 'silent', drainTimeout: 100 })
  const network = await FlakyNetwork.to(hub.port)
  const operator = connect(`ws://127.0.0.1:${hub.port}`)
  await operator.admin.queues.declare({ name: 'q', ackDeadline: 300, backoff: { base: 1, cap: 1 } })
  for (const n of range(0, 2)) await operator.enqueue('q', n)
  // It takes connections and never answers.
  const quiet = createServer().listen(0, '127.0.0.1')
  await once(quiet, 'listening')
  const { port } = quiet.address() as AddressInfo
  let address = ''
  class MovedSocket extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(address || url, protocols)
    }
  }
  const uncaught = hearUncaught()
  const worker = connect(network.url, { backoff: { base: 1, cap: 5 }, WebSocket: MovedSocket as never })
  const handled: number[] = []
  let hangs: Socket | undefined
  worker.consume<number>('q', async ({ data }) => {
    if (handled.push(data) > 1) return
    address = `ws://127.0.0.1:${port}/`
    const connecting = once(quiet, 'connection')
    network.cut()
    ;[hangs] = (await connecting) as [Socket]
    await nextTurn()
    block(400)
  })
  await expect.poll(() => hangs).toBeDefined()
  await wait(500)
  address = ''
  hangs?.destroy()
  await expect.poll(() => handled.length).toBeGreaterThan(1)
  await worker.close({ timeout: 100 })
  await operator.close()
  quiet.close()
  await network.close()
  await hub.close()
  expect(uncaught).toEqual([])
})
