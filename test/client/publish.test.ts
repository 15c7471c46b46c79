import { afterEach, beforeEach, expect, it } from 'vitest'
import { ScriptedHub } from './scripted-hub.ts'

let hub: ScriptedHub
beforeEach(async () => {
  hub = await ScriptedHub.start()
})
afterEach(() => hub.stop())

it('sends a window of publishes in one message, and one more for each receipt', async () => {
  const { client, peer } = await hub.connected()
  const receipts = [1, 2, 3, 4, 5, 6].map((n) => client.publish('a', n))
  const seqs: number[] = []
  for (let n = 0; n < 4; n++) seqs.push((await peer.next('publish')).seq)
  expect(peer.batches.at(-1)).toHaveLength(4)
  expect(peer.unreadFrames).toEqual([])
  peer.send({ type: 'receipt', seq: seqs[0], id: 'x' }, { type: 'receipt', seq: seqs[1], id: 'y' })
  expect(await receipts[0]).toEqual({ id: 'x', duplicate: false, positions: {}, queues: [] })
  expect(await receipts[1]).toMatchObject({ id: 'y' })
  for (const data of [5, 6]) {
    const frame = await peer.next('publish')
    expect(frame.data).toBe(data)
    seqs.push(frame.seq)
  }
  peer.send(...seqs.slice(2).map((seq) => ({ type: 'receipt', seq, id: 'z' })))
  await Promise.all(receipts)
})

it('keeps text and bytes in order', async () => {
  const { client, peer } = await hub.connected()
  const all = [1, new Uint8Array([2, 3]), new Uint8Array([4]).buffer, 5].map((data) => client.publish('a', data))
  const frames = [await peer.next('publish'), await peer.next('publish'), await peer.next('publish')]
  frames.push(await peer.next('publish'))
  expect(frames.map(({ data }) => (data instanceof Uint8Array ? [...data] : data))).toEqual([1, [2, 3], [4], 5])
  expect(peer.batches.slice(-3).map((batch) => batch.length)).toEqual([1, 2, 1])
  peer.send(...frames.map(({ seq }) => ({ type: 'receipt', seq, id: 'x' })))
  await Promise.all(all)
})

it('splits a turn into messages below the limit, and refuses a frame that exceeds it by itself', async () => {
  const limits = { frameBytes: 1000, subscriptions: 10 }
  const { client, peer } = await hub.connected({}, { window: 100, limits })
  const large = client.publish('a', 'é'.repeat(500))
  const small = Array.from({ length: 50 }, (_, n) => client.publish('a', n))
  await expect(large).rejects.toMatchObject({ code: 'frame_too_large' })
  for (let n = 0; n < 50; n++) peer.send({ type: 'receipt', seq: (await peer.next('publish')).seq, id: 'x' })
  await Promise.all(small)
  for (const batch of peer.batches) expect(Buffer.byteLength(JSON.stringify(batch))).toBeLessThanOrEqual(1000)
})

it('repeats after a reconnect what was sent, with its id and before what was only queued', async () => {
  const { client, peer } = await hub.connected({}, { window: 2 })
  const publishes = [client.publish('a', 1), client.publish('a', new Uint8Array([2])), client.publish('a', 3)]
  const first = [await peer.next('publish'), await peer.next('publish')]
  peer.socket.terminate()
  const again = await hub.peer()
  await again.welcome()
  const repeated = [await again.next('publish'), await again.next('publish')]
  expect(repeated.map(({ id, retry }) => [id, retry])).toEqual(first.map(({ id }) => [id, true]))
  const positions = { photos: { epoch: 'e', offset: 7 } }
  again.send({ type: 'receipt', seq: repeated[0]?.seq, id: repeated[0]?.id, positions, duplicate: true })
  expect(await publishes[0]).toEqual({ id: first[0]?.id, positions, queues: [], duplicate: true })
  // The hub keeps nothing of this one, and cannot say whether the first try came through.
  again.send({ type: 'error', code: 'connection_lost', message: 'Lost.', retry: true, seq: repeated[1]?.seq })
  await expect(publishes[1]).rejects.toMatchObject({ code: 'connection_lost', retry: true })
  const { seq, data, retry } = await again.next('publish')
  expect([data, retry]).toEqual([3, undefined])
  again.send({ type: 'receipt', seq, id: 'x' })
  expect(await publishes[2]).toMatchObject({ id: 'x' })
})

it('an error with seq rejects only that publish', async () => {
  const { client, peer } = await hub.connected()
  const [refused, fine] = [client.publish('$sys', 1), client.publish('a', 2)]
  const frames = [await peer.next('publish'), await peer.next('publish')]
  peer.send(
    { type: 'error', code: 'reserved_topic', message: 'No.', retry: false, seq: frames[0]?.seq },
    { type: 'receipt', seq: frames[1]?.seq, id: 'x' },
  )
  await expect(refused).rejects.toMatchObject({ code: 'reserved_topic', retry: false })
  await fine
  expect(client.state).toBe('connected')
})

it('bounds the queue while offline; an abort makes room', async () => {
  const client = hub.connect({ queueLimit: 2 })
  const abort = new AbortController()
  const first = client.publish('a', 1)
  const second = client.publish('a', 2, { signal: abort.signal })
  await expect(client.publish('a', 3)).rejects.toMatchObject({ code: 'send_buffer_full' })
  abort.abort(new Error('enough'))
  await expect(second).rejects.toThrow('enough')
  await expect(client.publish('a', 4, { signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow('before')
  const third = client.publish('a', 5)
  const peer = await hub.peer()
  await peer.welcome()
  for (const expected of [1, 5]) {
    const { seq, data } = await peer.next('publish')
    expect(data).toBe(expected)
    peer.send({ type: 'receipt', seq, id: 'x' })
  }
  await Promise.all([first, third])
})

it('refuses locally what would cost the connection at the hub', async () => {
  const { client, peer } = await hub.connected()
  await expect(client.publish('a..b', 1)).rejects.toMatchObject({ code: 'bad_topic' })
  await expect(client.publish('a', 1, { id: 'a b' })).rejects.toMatchObject({ code: 'bad_option' })
  await expect(client.publish('a', 1, { key: 'k'.repeat(256) })).rejects.toMatchObject({ code: 'bad_option' })
  const poison: unknown = JSON.parse('{"__proto__":{"a":1}}')
  await expect(client.publish('a', poison)).rejects.toMatchObject({ code: 'forbidden_key' })
  expect(() => hub.connect({ name: 'n'.repeat(201) })).toThrow(expect.objectContaining({ code: 'bad_option' }))
  const wrong = { n: 1 } as unknown as Record<string, string>
  await expect(client.publish('a', 1, { headers: wrong })).rejects.toMatchObject({ code: 'bad_option' })
  expect(() => client.subscribe('a', { filter: { all: wrong } })).toThrow(
    expect.objectContaining({ code: 'bad_option' }),
  )
  const last = client.publish('a', undefined)
  const frame = await peer.next('publish')
  expect('data' in frame).toBe(false)
  peer.send({ type: 'receipt', seq: frame.seq, id: 'x' })
  await last
})
