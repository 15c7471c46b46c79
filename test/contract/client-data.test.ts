import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import type { Client } from '../../client/client.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { range, streamWorlds } from '../setup/streams.ts'

const BYTES = [1, 2, 250, 0, 5, 6, 7, 8]
const bytes = () => new Uint8Array(BYTES)

onEveryEngine('data', (hubs) => {
  const start = streamWorlds(hubs)

  it.each<[string, () => unknown]>([
    ['Uint8Array', bytes],
    ['Buffer', () => Buffer.from(BYTES)],
    ['a part of a buffer', () => new Uint8Array([9, 9, ...BYTES, 9]).subarray(2, 10)],
    ['ArrayBuffer', () => bytes().buffer],
    ['SharedArrayBuffer', () => shared()],
    ['DataView', () => new DataView(new Uint8Array([9, ...BYTES]).buffer, 1)],
    ['Int16Array', () => new Int16Array(bytes().buffer)],
    ['Float32Array', () => new Float32Array(bytes().buffer)],
    ['Float64Array', () => new Float64Array(bytes().buffer)],
    ['BigInt64Array', () => new BigInt64Array(bytes().buffer)],
    ['Uint8ClampedArray', () => new Uint8ClampedArray(BYTES)],
    ['Uint8Array of another realm', () => runInNewContext(`new Uint8Array([${BYTES}])`)],
    ['ArrayBuffer of another realm', () => runInNewContext(`new Uint8Array([${BYTES}]).buffer`)],
  ])('bytes arrive as these bytes: %s', async (_, make) => {
    const { client } = await start({ queues: [{ name: 'q' }] })
    const [here, there] = [client(), client()]
    const told = await arrived(here, 'bytes', () => there.publish('bytes', make()))
    expect(told).toEqual(bytes())
    await here.respond('echo', ({ data }) => ({ is: data instanceof Uint8Array, list: [...(data as Uint8Array)] }))
      .ready
    expect(await there.request('echo', make())).toEqual({ is: true, list: BYTES })
    await here.respond('reply', make).ready
    expect(await there.request('reply')).toEqual(bytes())
    await there.enqueue('q', make())
    const delivered = new Promise((resolve) => here.consume('q', ({ data }) => resolve(data)))
    expect(await delivered).toEqual(bytes())
  })

  it.each<[string, unknown, RegExp]>([
    ['a map', new Map([[1, 2]]), /data is of the type Map/],
    ['a set in it', { tags: new Set(['a']) }, /data\.tags is of the type Set/],
    ['an error', new Error('x'), /type Error/],
    ['a regular expression', { list: [1, /x/] }, /data\.list\[1\] is of the type RegExp/],
    ['a blob', new Blob(['x']), /type Blob/],
    ['parameters of an address', new URLSearchParams('a=1'), /type URLSearchParams/],
    ['a promise', Promise.resolve(1), /type Promise/],
    ['floats inside', { image: new Float32Array(3) }, /data\.image is bytes/],
    ['a buffer inside', [Buffer.from('a')], /data\[0\] is bytes/],
    ['a bigint', { n: 1n }, /data\.n is a bigint/],
    ['NaN', { n: Number.NaN }, /data\.n is NaN/],
    ['a Date that is none', { at: [new Date(Number.NaN)] }, /data\.at\[0\] is an invalid Date/],
    ['infinity', [1, Number.POSITIVE_INFINITY], /data\[1\] is Infinity/],
    ['a function', { a: { f: () => {} } }, /data\.a\.f is a function/],
    ['a symbol', Symbol('s'), /data is a symbol/],
    ['undefined in a list', [1, undefined], /data\[1\] is undefined/],
    ['an object whose getter throws', { toJSON: () => throwing() }, /cannot be encoded: no/],
  ])('data that JSON cannot express is refused with an explanation: %s', async (_, data, words) => {
    const { client } = await start()
    const by = client()
    const refused = { code: 'bad_data', message: expect.stringMatching(words) }
    await expect(by.publish('a', data)).rejects.toMatchObject(refused)
    await expect(by.enqueue('q', data)).rejects.toMatchObject(refused)
    await expect(by.request('a', data)).rejects.toMatchObject(refused)
    const inParams = { code: 'bad_data', message: expect.stringMatching(/params|no/) }
    await expect(by.call('hub.show', { data })).rejects.toMatchObject(inParams)
  })

  it('a cycle is refused as one', async () => {
    const { client } = await start()
    const cycle: unknown[] = []
    cycle.push({ cycle })
    await expect(client().publish('a', cycle)).rejects.toThrow('data[0].cycle is a cycle: it contains itself')
  })

  it('follows JSON: dates, toJSON, fields of a class, undefined', async () => {
    class Order {
      readonly id = 7
      readonly price = { toJSON: () => '7.50' }
      readonly note = undefined
      total() {}
    }
    const { client } = await start()
    const here = client()
    const data = [new Order(), new Date(0), Object.create(null), new String('s'), 'ä\ud800']
    const next = await arrived(here, 'json', () => here.publish('json', data))
    expect(next).toEqual([{ id: 7, price: '7.50' }, '1970-01-01T00:00:00.000Z', {}, 's', 'ä\ud800'])
  })

  it('of each message owns its bytes: aligned and transferable', async () => {
    const { client } = await start()
    const [here, there] = [client(), client()]
    const got: Uint8Array[] = []
    await here.subscribe<Uint8Array>('f', ({ data }) => void got.push(data)).ready
    await Promise.all(range(0, 5).map((n) => there.publish('f', new Float32Array([n, n, n]))))
    await expect.poll(() => got.length).toBe(5)
    expect(got.map(({ buffer }) => [...new Float32Array(buffer)])).toEqual(range(0, 5).map((n) => [n, n, n]))
    structuredClone(got[0], { transfer: [got[0]?.buffer as ArrayBuffer] })
    expect(got.map(({ length }) => length)).toEqual([0, 12, 12, 12, 12])
  })
})

/** The data of the next message. */
async function arrived(client: Client, topic: string, publish: () => Promise<unknown>): Promise<unknown> {
  let told = (_: unknown) => {}
  const next = new Promise((resolve) => {
    told = resolve
  })
  await client.subscribe(topic, ({ data }) => told(data)).ready
  await publish()
  return next
}

function shared(): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(BYTES.length)
  new Uint8Array(buffer).set(BYTES)
  return buffer
}

function throwing(): never {
  throw new Error('no')
}
