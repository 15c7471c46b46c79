import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import type { FanfareError, IncomingRequest } from '../../client/node.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { lazyQuery } from '../setup/lazy-query.ts'
import { streamWorlds } from '../setup/streams.ts'
import { hearUncaught } from '../setup/uncaught.ts'

function nested(levels: number): unknown {
  let value: unknown = 1
  for (let n = 0; n < levels; n++) value = [value]
  return value
}

function cycle(): unknown {
  const value: Record<string, unknown> = {}
  value['self'] = value
  return value
}

class WordlessError extends Error {
  override toString(): string {
    throw new Error('no message')
  }
  override get stack(): string {
    throw new Error('no stack')
  }
  override set stack(_) {}
}

const thrower = (thrown: unknown) => () => {
  throw thrown
}

/** What a handler may do that leaves its requester without a reply. */
const FAULTS: Record<string, () => unknown> = {
  'returns a bigint': () => ({ id: 10n }),
  'returns a cycle': cycle,
  'returns 20,000 levels': () => nested(20_000),
  'returns 5,000 levels': () => nested(5_000),
  'returns what has no JSON': () => ({ toJSON: thrower(new Error('toJSON')) }),
  'returns what throws when it is read': () => Object.defineProperty({}, 'a', { enumerable: true, get: thrower(1) }),
  'returns what throws when it is awaited': () => Object.defineProperty({}, 'then', { get: thrower(1) }),
  'returns a forbidden key': () => JSON.parse('{"__proto__":1}'),
  'returns 300 kB': () => 'x'.repeat(300_000),
  'rejects with a bigint': () => Promise.reject(1n),
  'rejects with nothing': () => Promise.reject(),
  'throws an error': thrower(new Error('out of ink')),
  'throws null': thrower(null),
  'throws an object without a prototype': thrower(Object.create(null)),
  'throws an error without a message': thrower(new WordlessError()),
  'throws a symbol': thrower(Symbol('s')),
  'throws a long text': thrower('\u0000'.repeat(400_000)),
  'throws a forbidden key': thrower('{"__proto__":1}'),
  'is a query that fails': () => lazyQuery(thrower(new Error('query'))),
}

onEveryEngine('faults of responders', (hubs) => {
  const start = streamWorlds(hubs)

  it('reach the requester with a message and onError with the request, and end nothing', async () => {
    const uncaught = hearUncaught()
    const { client } = await start()
    const asker = client()
    const responders = { loud: client(), silent: client() }
    const told: unknown[] = []
    const onError = (_: unknown, request?: IncomingRequest) => void told.push(request?.data)
    const handler = ({ data }: IncomingRequest<string>) => FAULTS[data]?.() ?? 'fine'
    const loud = responders.loud.respond('loud', handler, { onError })
    const silent = responders.silent.respond('silent', handler)
    await Promise.all([loud, silent].map(({ ready }) => ready))
    for (const fault of Object.keys(FAULTS)) {
      for (const topic of ['loud', 'silent']) {
        const asked = asker.request<FanfareError>(topic, fault, { timeout: 5000 })
        const { code, message } = await asked.catch((error) => error as FanfareError)
        expect([fault, topic, code]).toEqual([fault, topic, 'responder_failed'])
        expect(message).not.toBe('')
        expect(message, 'where it failed').not.toMatch(/\n +at /)
      }
      expect(told.at(-1)).toBe(fault)
      expect(await asker.request('silent', 'well')).toBe('fine')
    }
    expect(told).toEqual(Object.keys(FAULTS))
    expect([responders.loud.state, responders.silent.state, asker.state]).toEqual(Array(3).fill('connected'))
    expect(uncaught).toEqual([])
  })

  it('a reply may be a query of a library, or a promise of another realm', async () => {
    const { client } = await start()
    const worker = client()
    const foreign = runInNewContext('async () => ({ rows: 2 })') as () => Promise<{ rows: number }>
    await worker.respond('query', () => lazyQuery(() => ({ rows: 1 }))).ready
    await worker.respond('foreign', foreign).ready
    const asker = client()
    expect(await asker.request('query')).toEqual({ rows: 1 })
    expect(await asker.request('foreign')).toEqual({ rows: 2 })
  })

  it('an onError that throws is an uncaught error of its own, and the requester has its reply', async () => {
    const uncaught = hearUncaught()
    const { client } = await start()
    const onError = thrower(new Error('onError'))
    await client().respond('bad', thrower(new Error('handler')), { onError }).ready
    await expect(client().request('bad')).rejects.toMatchObject({ code: 'responder_failed' })
    await expect.poll(() => uncaught).toMatchObject([{ message: 'onError' }])
  })
})
