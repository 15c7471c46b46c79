import { afterEach, beforeEach, expect, it } from 'vitest'
import { hearUncaught } from '../setup/uncaught.ts'
import { message, ScriptedHub } from './scripted-hub.ts'

let hub: ScriptedHub
beforeEach(async () => {
  hub = await ScriptedHub.start()
})
afterEach(() => hub.stop())

it('gives a message to each subscription that matches, with its filter', async () => {
  const { client, peer } = await hub.connected()
  const seen: string[] = []
  client.subscribe('a.*', ({ data }) => void seen.push(`star ${data}`))
  client.subscribe('a.b', ({ data }) => void seen.push(`exact ${data}`), { filter: { all: { h: '1' } } })
  client.subscribe('c', ({ data }) => void seen.push(`other ${data}`))
  const last = client.subscribe('end')
  for (let n = 0; n < 4; n++) await peer.subscribed()
  peer.send(message(1, 'a.b'), message(2, 'a.b', { headers: { h: '1' } }), message(3, 'a.c'), message(4, 'end'))
  for await (const _ of last) break
  expect(seen).toEqual(['star 1', 'star 2', 'exact 2', 'star 3'])
})

it('is active from its subscribed frame on, in band', async () => {
  const { client, peer } = await hub.connected()
  const seen: unknown[] = []
  client.subscribe('a', ({ data }) => void seen.push(data))
  const last = client.subscribe('end')
  const { sub } = await peer.next('subscribe')
  await peer.subscribed()
  peer.send(message(1), { type: 'subscribed', sub }, message(2), message(3, 'end'))
  for await (const _ of last) break
  expect(seen).toEqual([2])
})

it('only: the messages of one WebSocket message are for one subscription', async () => {
  const { client, peer } = await hub.connected()
  const seen: string[] = []
  client.subscribe('#', ({ data }) => void seen.push(`all ${data}`))
  client.subscribe('a', ({ data }) => void seen.push(`a ${data}`))
  const last = client.subscribe('end')
  await peer.subscribed()
  const sub = await peer.subscribed()
  await peer.subscribed()
  peer.send({ type: 'only', sub }, message(1), message(2))
  peer.sendBinary({ type: 'only', sub }, { type: 'message', id: 'b', topic: 'a', data: new Uint8Array([7]) })
  peer.send(message(3))
  peer.send(message(4, 'end'))
  for await (const _ of last) break
  expect(seen).toEqual(['a 1', 'a 2', 'a 7', 'all 3', 'a 3', 'all 4'])
})

it('tells a gap of the hub at its place', async () => {
  const { client, peer } = await hub.connected()
  const seen: unknown[] = []
  const numbers = client.subscribe('a', { onGap: (gap) => seen.push(gap) })
  const sub = await peer.subscribed()
  const gap = { count: 3, from: 'm2', to: 'm4', reason: 'drop-oldest' }
  peer.send(message(1), { type: 'gap', sub, ...gap }, message(5))
  for await (const { data } of numbers) {
    seen.push(data)
    if (data === 5) break
  }
  expect(seen).toEqual([1, gap, 5])
})

it('resubscribes after a cut, and reports that messages may be missing', async () => {
  const { client, peer } = await hub.connected()
  const seen: unknown[] = []
  const numbers = client.subscribe('a', { onGap: (gap) => seen.push(gap) })
  await peer.subscribed()
  peer.send(message(1))
  peer.socket.close(4000)
  const again = await hub.peer()
  await again.welcome()
  await again.subscribed()
  again.send(message(2))
  for await (const { data } of numbers) {
    seen.push(data)
    if (data === 2) break
  }
  expect(seen).toEqual([1, { count: undefined, reason: 'disconnected' }, 2])
})

it('a refusal rejects ready and is thrown by the iterator', async () => {
  const { client, peer } = await hub.connected()
  const refused = client.subscribe('a')
  const { sub } = await peer.next('subscribe')
  peer.send({ type: 'error', code: 'too_many_subscriptions', message: 'No.', retry: false, sub })
  await expect(refused.ready).rejects.toMatchObject({ code: 'too_many_subscriptions' })
  await expect(refused[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'too_many_subscriptions' })
})

it('waits for the promise of a handler before the next message', async () => {
  const { client, peer } = await hub.connected()
  const log: string[] = []
  const done = new Promise<void>((resolve) => {
    client.subscribe('a', async ({ data }) => {
      log.push(`begin ${data}`)
      await new Promise(setImmediate)
      log.push(`end ${data}`)
      if (data === 2) resolve()
    })
  })
  await peer.subscribed()
  peer.send(message(1), message(2))
  await done
  expect(log).toEqual(['begin 1', 'end 1', 'begin 2', 'end 2'])
})

it('goes on after a handler or a gap listener that throws, and reports it', async () => {
  const loud = hearUncaught()
  const { client, peer } = await hub.connected()
  const seen: unknown[] = []
  client.subscribe(
    'a',
    ({ data }) => {
      seen.push(data)
      if (data === 1) throw new Error('handler')
    },
    {
      onGap: () => {
        throw new Error('gap')
      },
    },
  )
  const last = client.subscribe('end')
  const sub = await peer.subscribed()
  await peer.subscribed()
  const gap = { type: 'gap', sub, count: 1, from: 'x', to: 'x', reason: 'drop-oldest' }
  peer.send(message(1), gap, message(2), message(3, 'end'))
  for await (const _ of last) break
  expect(seen).toEqual([1, 2])
  expect(loud).toMatchObject([{ message: 'handler' }, { message: 'gap' }])
})

it('a loop that ends by break has not handled the message that it breaks at', async () => {
  const { client, peer } = await hub.connected()
  const numbers = client.subscribe('a', { cursor: 'c' })
  const { sub } = await peer.next('subscribe')
  peer.send({ type: 'subscribed', sub, stream: 's', epoch: 'e', offset: 1 }, { type: 'live', sub, offset: 1 })
  peer.send(...[1, 2, 3].map((n) => message(n, 'a', { offsets: { s: n } })))
  const ended = (async () => {
    for await (const { data } of numbers) if (data === 2) break
  })()
  expect(await peer.next('commit')).toEqual({ type: 'commit', sub, offset: 2 })
  peer.send({ type: 'committed', sub, offset: 2 })
  expect(await peer.next('unsubscribe')).toEqual({ type: 'unsubscribe', sub })
  await ended
})

it('aborting a signal in the middle of a loop still commits what the loop handles', async () => {
  const { client, peer } = await hub.connected()
  const abort = new AbortController()
  const numbers = client.subscribe('a', { cursor: 'c', signal: abort.signal })
  const { sub } = await peer.next('subscribe')
  peer.send({ type: 'subscribed', sub, stream: 's', epoch: 'e', offset: 1 }, { type: 'live', sub, offset: 1 })
  peer.send(...[1, 2, 3].map((n) => message(n, 'a', { offsets: { s: n } })))
  const ended = (async () => {
    for await (const { data } of numbers) {
      if (data === 2) abort.abort()
      if (data === 3) break
    }
  })()
  // Of the first message, when the signal came; of the second, when the loop was done with it.
  expect(await peer.next('commit')).toEqual({ type: 'commit', sub, offset: 2 })
  peer.send({ type: 'committed', sub, offset: 2 })
  expect(await peer.next('commit')).toEqual({ type: 'commit', sub, offset: 3 })
  peer.send({ type: 'committed', sub, offset: 3 })
  expect(await peer.next('unsubscribe')).toEqual({ type: 'unsubscribe', sub })
  await ended
})

it('can be read once, ends with break and with its signal', async () => {
  const { client, peer } = await hub.connected()
  const abort = new AbortController()
  const broken = client.subscribe('a')
  const aborted = client.subscribe('b', { signal: abort.signal })
  const sub = await peer.subscribed()
  const other = await peer.subscribed()
  peer.send(message(1))
  const ends = (async () => {
    for await (const _ of broken) break
  })()
  await expect(broken[Symbol.asyncIterator]().next()).rejects.toThrow(TypeError)
  expect(await peer.next('unsubscribe')).toEqual({ type: 'unsubscribe', sub })
  await ends
  const reader = aborted[Symbol.asyncIterator]().next()
  abort.abort()
  expect(await peer.next('unsubscribe')).toEqual({ type: 'unsubscribe', sub: other })
  expect(await reader).toEqual({ value: undefined, done: true })
})

it.each([
  ['unsubscribe()', {}],
  ['unsubscribe() of a cursor', { cursor: 'c' }],
  ['its signal', {}],
])('a handler gets nothing more after %s, not even from the same message', async (name, options) => {
  const { client, peer } = await hub.connected()
  const abort = new AbortController()
  const seen: unknown[] = []
  const { signal } = abort
  const numbers = client.subscribe(
    'a',
    ({ data }) => {
      seen.push(data)
      if (data === 2) void (name === 'its signal' ? abort.abort() : numbers.unsubscribe())
    },
    { ...options, signal },
  )
  const last = client.subscribe('end')
  const { sub } = await peer.next('subscribe')
  await peer.subscribed()
  peer.send({ type: 'subscribed', sub, stream: 's', epoch: 'e', offset: 1 }, { type: 'live', sub, offset: 1 })
  peer.send(...[1, 2, 3].map((n) => message(n, 'a', { offsets: { s: n } })), message(4, 'end'))
  for await (const _ of last) break
  if ('cursor' in options) {
    expect(await peer.next('commit')).toMatchObject({ offset: 2 })
    peer.send({ type: 'committed', sub, offset: 2 })
  }
  await numbers.ended
  expect(seen).toEqual([1, 2])
})

it('carries bytes to the reader', async () => {
  const { client, peer } = await hub.connected()
  const bytes = client.subscribe('a')
  await peer.subscribed()
  peer.sendBinary({ type: 'message', id: 'b', topic: 'a', data: new Uint8Array([1, 255]) })
  const { value } = await bytes[Symbol.asyncIterator]().next()
  expect(value?.data).toEqual(new Uint8Array([1, 255]))
})

it('a commit that the hub could not store is refused, and the subscription goes on', async () => {
  const { client, peer } = await hub.connected()
  const numbers = client.subscribe('a', { cursor: 'c' })
  const iterator = numbers[Symbol.asyncIterator]()
  const { sub } = await peer.next('subscribe')
  peer.send({ type: 'subscribed', sub, stream: 's', epoch: 'e', offset: 0 }, { type: 'live', sub, offset: 0 })
  peer.send(message(0, 'a', { offsets: { s: 0 } }), message(1, 'a', { offsets: { s: 1 } }))
  for (const data of [0, 1]) expect((await iterator.next()).value?.data).toBe(data)
  const refused = numbers.commit()
  expect(await peer.next('commit')).toEqual({ type: 'commit', sub, offset: 1 })
  peer.send({ type: 'error', code: 'storage_full', message: 'No room.', retry: true, sub, offset: 1 })
  await expect(refused).rejects.toMatchObject({ code: 'storage_full' })
  const stored = numbers.commit()
  expect(await peer.next('commit')).toEqual({ type: 'commit', sub, offset: 1 })
  peer.send({ type: 'committed', sub, offset: 1 }, message(2, 'a', { offsets: { s: 2 } }))
  await stored
  expect((await iterator.next()).value?.data).toBe(2)
  const ended = numbers.unsubscribe()
  peer.send({ type: 'committed', sub, offset: (await peer.next('commit')).offset })
  await ended
})

it('never commits an offset of one log to another', async () => {
  const { client, peer } = await hub.connected()
  const numbers = client.subscribe('a', { cursor: 'c' })
  const iterator = numbers[Symbol.asyncIterator]()
  const first = await peer.next('subscribe')
  const answer = (epoch: string) => ({ type: 'subscribed', sub: first.sub, stream: 's', epoch, offset: 0 })
  const live = { type: 'live', sub: first.sub, offset: 0 }
  const at = (offset: number) => message(offset, 'a', { offsets: { s: offset } })
  peer.send(answer('old'), live, at(0), at(1), at(2))
  for (const data of [0, 1]) expect((await iterator.next()).value?.data).toBe(data)
  peer.socket.close(4000)
  const again = await hub.peer()
  await again.welcome()
  expect(await again.next('subscribe')).toMatchObject({ from: { epoch: 'old', offset: 3 } })
  again.send(answer('new'), { type: 'gap', sub: first.sub, reason: 'epoch' }, live, at(0), at(1))
  // What is left of the old log, then the new one.
  for (const data of [2, 0, 1]) expect((await iterator.next()).value?.data).toBe(data)
  const stored = numbers.commit()
  expect(await again.next('commit')).toEqual({ type: 'commit', sub: first.sub, offset: 1 })
  again.send({ type: 'committed', sub: first.sub, offset: 1 })
  await stored
})

it('a start with the last ones is repeated until it is past them, and gives nothing twice', async () => {
  const { client, peer } = await hub.connected()
  const numbers = client.subscribe('a', { from: { last: 3 } })
  const iterator = numbers[Symbol.asyncIterator]()
  const { sub } = await peer.next('subscribe')
  const subscribed = { type: 'subscribed', sub, stream: 's', epoch: 'e', offset: 10 }
  const only = { type: 'only', sub }
  const at = (offset: number) => message(offset, 'a', { offsets: { s: offset } })
  peer.send(subscribed)
  peer.send(only, at(5), at(7))
  for (const data of [5, 7]) expect((await iterator.next()).value?.data).toBe(data)
  peer.socket.close(4000)
  const again = await hub.peer()
  await again.welcome()
  expect(await again.next('subscribe')).toMatchObject({ from: { last: 3 } })
  again.send({ ...subscribed, offset: 11 })
  again.send(only, at(5), at(7), at(9), at(11))
  for (const data of [9, 11]) expect((await iterator.next()).value?.data).toBe(data)
  again.socket.close(4000)
  const third = await hub.peer()
  await third.welcome()
  expect(await third.next('subscribe')).toMatchObject({ from: { epoch: 'e', offset: 12 } })
})

it('a framework that puts proxies around plain objects finds none in the client', async () => {
  const { client } = await hub.connected()
  const held = [
    client,
    client.admin.queues,
    client.admin.streams,
    client.admin.hub,
    client.subscribe('a'),
    client.consume('q'),
  ]
  // As Vue recognises plain objects.
  const isPlain = (value: object) => Object.prototype.toString.call(value) === '[object Object]'
  expect(held.filter(isPlain)).toEqual([])
})

it('a filter that throws later costs no message: it is a copy', async () => {
  const uncaught = hearUncaught()
  const { client, peer } = await hub.connected()
  let fault: Error | undefined
  const faulty = {
    get all() {
      if (fault) throw fault
      return {}
    },
  }
  const seen: unknown[] = []
  client.subscribe('a', ({ data }) => void seen.push(data), { filter: faulty })
  await peer.subscribed()
  peer.send(message(1))
  await expect.poll(() => seen).toEqual([1])
  fault = new Error('no filter')
  const published = client.publish('b', 1)
  const { seq } = await peer.next('publish')
  // In one WebSocket message.
  peer.send(message(2), { type: 'receipt', seq, id: 'x' })
  await published
  await expect.poll(() => seen).toEqual([1, 2])
  expect(uncaught).toEqual([])
  expect(client.state).toBe('connected')
})

it('after a reconnection a filter is sent again as it was given', async () => {
  const uncaught = hearUncaught()
  const { client, peer } = await hub.connected({ backoff: { base: 1, cap: 1 } })
  const all: Record<string, unknown> = { kind: 'x' }
  client.subscribe('a', { filter: { all: all as Record<string, string> } })
  await peer.subscribed()
  client.consume('q')
  const { consumer } = await peer.next('consume')
  peer.send({ type: 'consuming', consumer, ackDeadlineMs: 1000 })
  all['kind'] = 1n
  peer.socket.terminate()
  const again = await hub.peer()
  await again.welcome()
  expect(await again.next('subscribe')).toMatchObject({ filter: { all: { kind: 'x' } } })
  expect(await again.next('consume')).toMatchObject({ queue: 'q' })
  expect(uncaught).toEqual([])
})
