import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Message, SubscriptionGap } from '../../client/node.ts'
import { message, ScriptedHub } from './scripted-hub.ts'

let hub: ScriptedHub
beforeEach(async () => {
  hub = await ScriptedHub.start()
})
afterEach(() => hub.stop())

it('pauses when its buffer is full, resumes at a quarter, and accepts only its own messages in between', async () => {
  const { client, peer } = await hub.connected()
  const numbers = client.subscribe('a', { bufferLimit: 4 })
  const sub = await peer.subscribed()
  peer.send(message(1), message(2), message(3), message(4))
  expect(await peer.next('pause')).toEqual({ type: 'pause', sub })
  peer.send(message(5), { type: 'paused', sub }, message(99))
  peer.send({ type: 'only', sub }, message(6))
  const read: unknown[] = []
  for await (const { data } of numbers) {
    read.push(data)
    if (data === 5) {
      expect(await peer.next('resume')).toEqual({ type: 'resume', sub })
      peer.send(message(98), { type: 'resumed', sub }, message(7))
    }
    if (data === 7) break
  }
  expect(read).toEqual([1, 2, 3, 4, 5, 6, 7])
})

it('bounds its buffer against a hub that does not pause, and tells how much is missing', async () => {
  const { client, peer } = await hub.connected()
  const gaps: SubscriptionGap[] = []
  const numbers = client.subscribe('a', { bufferLimit: 10, onGap: (gap) => gaps.push(gap) })
  const last = client.subscribe('end')
  await peer.subscribed()
  await peer.subscribed()
  const sent = 40_000
  for (let n = 0; n < sent; n += 1000) peer.send(...Array.from({ length: 1000 }, (_, i) => message(n + i)))
  peer.send(message(-1, 'end'))
  for await (const _ of last) break
  let read = 0
  for await (const { data } of numbers) {
    if (data === 'fin') break
    // There is room again.
    if (++read === 100) peer.send(message('fin'))
  }
  expect(read).toBeLessThan(sent)
  expect(new Set(gaps.map(({ reason }) => reason))).toEqual(new Set(['client-buffer']))
  expect(read + gaps.reduce((sum, { count }) => sum + (count ?? Number.NaN), 0)).toBe(sent)
})

it('with conflate, keeps the newest of each topic and key while its handler is busy, and tells the rest in its place', async () => {
  const { client, peer } = await hub.connected()
  const seen: unknown[] = []
  let go = () => {}
  const busy = new Promise<void>((resolve) => {
    go = resolve
  })
  const options = { policy: 'conflate', onGap: (gap: SubscriptionGap) => seen.push(gap) } as const
  const handler = ({ data }: Message) => {
    seen.push(data)
    return data === 1 ? busy : undefined
  }
  client.subscribe('p.*', handler, options)
  const last = client.subscribe('end')
  const sub = await peer.subscribed()
  await peer.subscribed()
  const key = { key: 'k' }
  peer.send(message(1, 'p.a'), message(2, 'p.a'), message(3, 'p.b'), message(4, 'p.a', key), message(5, 'p.a'))
  peer.send(
    { type: 'gap', sub, count: 2, from: 'x', to: 'y', reason: 'conflate' },
    message(6, 'p.b'),
    message(7, 'p.b'),
  )
  for (let n = 8; n < 5000; n++) peer.send(message(n, n % 2 ? 'p.c' : 'p.d'))
  peer.send(message(0, 'end'))
  for await (const _ of last) break
  go()
  await expect.poll(() => seen.at(-1)).toBe(4999)
  const gap = (count: number, from: string, to: string) => ({ count, from, to, reason: 'conflate' })
  expect(seen).toEqual([1, gap(2, 'm2', 'm3'), 4, 5, gap(3, 'x', 'm6'), 7, gap(4990, 'm8', 'm4997'), 4998, 4999])
})
