import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { connect } from '../../client/node.ts'
import { startHub } from '../../server/index.ts'
import { range } from '../setup/streams.ts'

it('a client sends nothing on a socket that the hub is closing: a browser would complain in its console', async () => {
  await using hub = await startHub({ port: 0, logLevel: 'silent' })
  const late: number[] = []
  class Watched extends WebSocket {
    override send(data: string | Uint8Array): void {
      if (this.readyState !== WebSocket.OPEN) late.push(this.readyState)
      super.send(data)
    }
  }
  await using operator = connect(hub.url as string)
  await using client = connect(hub.url as string, {
    name: 'busy',
    backoff: { base: 1, cap: 1 },
    WebSocket: Watched as never,
  })
  let ends = 0
  client.onState(({ to }) => {
    if (to === 'connecting') ends++
  })
  for (const _ of range(0, 5)) {
    await client.ready()
    const { connections } = await operator.admin.connections.list()
    const own = connections.find((each) => each.client === 'busy')
    void operator.admin.connections.disconnect(own?.connection as string)
    const before = ends
    while (ends === before) {
      client.publish('a', 1).catch(() => {})
      await nextTurn()
    }
  }
  expect(late).toEqual([])
})
