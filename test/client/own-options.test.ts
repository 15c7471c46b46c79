import { expect, it } from 'vitest'
import { connect } from '../../client/node.ts'
import { startHub } from '../../server/index.ts'

it('options are those of the call, whatever the caller does with its objects afterwards', async () => {
  const hub = await startHub({ port: 0, logLevel: 'silent', streams: [{ name: 's', topics: ['s.#'] }] })
  const client = connect(`ws://127.0.0.1:${hub.port}`)
  await client.publish('s.a', 1)
  const options = { from: 'earliest' as const, cursor: '' }
  const ready = ['x', 'y', 'z'].map((cursor) => {
    options.cursor = cursor
    return client.subscribe('s.#', () => {}, options).ready
  })
  await Promise.all(ready)
  const cursors = async () => (await client.admin.streams.cursors('s')).cursors.map(({ name }) => name).sort()
  await expect.poll(cursors, { interval: 100 }).toEqual(['x', 'y', 'z'])
  const filter = { all: { kind: 'a' } }
  const seen: unknown[] = []
  const start = { filter, from: { last: 1 } }
  await client.subscribe('s.#', ({ data }) => void seen.push(data), start).ready
  filter.all.kind = 'b'
  await client.publish('s.a', 'matches', { headers: { kind: 'a' } })
  await expect.poll(() => seen).toEqual(['matches'])
  await client.close()
  await hub.close()
})
