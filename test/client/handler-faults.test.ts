import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Client, Message, MessageHandler, SubscribeOptions } from '../../client/node.ts'
import { VirtualClock } from '../kit/virtual-clock.ts'
import { lazyQuery } from '../setup/lazy-query.ts'
import { hearUncaught } from '../setup/uncaught.ts'
import { message, type Peer, ScriptedHub, settle } from './scripted-hub.ts'

let hub: ScriptedHub
beforeEach(async () => {
  hub = await ScriptedHub.start()
})
afterEach(() => hub.stop())

/** A subscription to a stream, and the hub's end of it, which sends messages whose data is their offset. */
async function onStream(client: Client, peer: Peer, handler: MessageHandler<unknown>, options: SubscribeOptions = {}) {
  const subscription = client.subscribe('a', handler, options)
  const { sub } = await peer.next('subscribe')
  peer.send({ type: 'subscribed', sub, stream: 's', epoch: 'e', offset: 1 }, { type: 'live', sub, offset: 1 })
  const send = (...offsets: number[]) => peer.send(...offsets.map((n) => message(n, 'a', { offsets: { s: n } })))
  /** Where the cursor stands when this much has been done. */
  const committed = async (done?: () => unknown, so?: unknown) => {
    if (done) {
      await expect.poll(done).toEqual(so)
      void subscription.commit()
    }
    const { offset } = await peer.next('commit')
    peer.send({ type: 'committed', sub, offset })
    return offset
  }
  return { subscription, sub, send, committed }
}

function throwing(thrown: unknown): () => never {
  return () => {
    throw thrown
  }
}

const inAnotherRealm = runInNewContext('async (run) => { await run() }') as (run: () => unknown) => unknown

/** Every way to fail. */
const FAILURES: Record<string, [unknown, () => unknown]> = {}
for (const [name, thrown] of Object.entries({
  'an error': new Error('handler'),
  undefined: undefined,
  'a bigint': 1n,
  'an object without a prototype': Object.create(null),
  'a text': 'no',
})) {
  FAILURES[`throws ${name}`] = [thrown, throwing(thrown)]
  FAILURES[`rejects with ${name}`] = [thrown, () => Promise.reject(thrown)]
  FAILURES[`is a query that rejects with ${name}`] = [thrown, () => lazyQuery(throwing(thrown))]
}

describe.each(Object.entries(FAILURES))('a handler that %s', (_, [thrown, fail]) => {
  const failing =
    (seen: unknown[]) =>
    ({ data }: Message) => {
      seen.push(data)
      return data === 2 ? fail() : undefined
    }

  it('without onError: its cursor is committed, then the error is thrown, and nothing after it is handled', async () => {
    const uncaught = hearUncaught()
    const { client, peer } = await hub.connected()
    const seen: unknown[] = []
    const { subscription, sub, send } = await onStream(client, peer, failing(seen), { cursor: 'c' })
    send(1, 2, 3)
    expect(await peer.next('commit')).toEqual({ type: 'commit', sub, offset: 2 })
    expect(uncaught).toEqual([])
    peer.send({ type: 'committed', sub, offset: 2 })
    expect(await peer.next('unsubscribe')).toEqual({ type: 'unsubscribe', sub })
    expect([seen, uncaught]).toEqual([[1, 2], [thrown]])
    const how = await subscription.ended.then(
      () => 'well',
      (error: unknown) => [error],
    )
    expect(how).toEqual([thrown])
    await subscription.unsubscribe()
  })

  it('with onError: is reported with its message, and the next message follows', async () => {
    const uncaught = hearUncaught()
    const { client, peer } = await hub.connected()
    const seen: unknown[] = []
    const told: unknown[] = []
    const onError: SubscribeOptions['onError'] = (error, message, event) =>
      void told.push([error, message?.data, event])
    const { send, committed } = await onStream(client, peer, failing(seen), { cursor: 'c', onError })
    const live = client.subscribe('b', failing(seen), { onError })
    await peer.subscribed()
    send(1, 2, 3)
    expect(await committed(() => seen, [1, 2, 3])).toBe(4)
    peer.send(message(2, 'b'), message(4, 'b'))
    await expect.poll(() => seen).toEqual([1, 2, 3, 2, 4])
    expect([told, uncaught]).toEqual([
      [
        [thrown, 2, { attempt: 1 }],
        [thrown, 2, { attempt: 1 }],
      ],
      [],
    ])
    await live.unsubscribe()
  })
})

it('what onError does with a message is awaited before the next one, also a lazy query', async () => {
  const { client, peer } = await hub.connected()
  const log: unknown[] = []
  const handler = ({ data }: Message) => {
    log.push(data)
    if (data === 1) throw new Error('handler')
  }
  const { send, committed } = await onStream(client, peer, handler, {
    cursor: 'c',
    onError: (_, message) =>
      lazyQuery(async () => {
        await new Promise(setImmediate)
        log.push(`set aside ${message?.data}`)
      }),
  })
  send(1, 2)
  expect(await committed(() => log, [1, 'set aside 1', 2])).toBe(3)
})

it('a message may be tried again, in order, and its attempts are counted', async () => {
  const { client, peer } = await hub.connected()
  const log: string[] = []
  let attempts = 0
  const { send, committed } = await onStream(
    client,
    peer,
    ({ data }) => {
      log.push(`handle ${data}`)
      if (data === 2 && ++attempts < 4) throw new Error('not yet')
    },
    {
      cursor: 'c',
      onError: async (_, message, event) => {
        log.push(`attempt ${event?.attempt} at ${message?.data}`)
        return 'retry'
      },
    },
  )
  send(1, 2, 3)
  const again = [1, 2, 3].flatMap((n) => ['handle 2', `attempt ${n} at 2`])
  expect(await committed(() => log, ['handle 1', ...again, 'handle 2', 'handle 3'])).toBe(4)
})

it('waits for the client’s backoff before it tries again, and does not after its end', async () => {
  const clock = new VirtualClock()
  const { client, peer } = await hub.connected({ clock, backoff: { base: 60_000, cap: 60_000 } })
  let handled = 0
  const told: unknown[] = []
  const fail = () => {
    handled++
    throw new Error('handler')
  }
  const onError = (_: unknown, { data }: Partial<Message> = {}) => told.push(data) && 'retry'
  const { subscription, send } = await onStream(client, peer, fail, { onError })
  send(1, 2)
  await expect.poll(() => told).toEqual([1])
  await subscription.unsubscribe()
  await clock.advance(120_000, settle)
  expect(handled).toBe(1)
})

it.each([
  ['throws', throwing(new Error('onError'))],
  ['rejects', () => Promise.reject(new Error('onError'))],
])('an onError that %s is treated as if there were none, with its own error', async (_, onError) => {
  const uncaught = hearUncaught()
  const { client, peer } = await hub.connected()
  const seen: unknown[] = []
  const handler = ({ data }: Message) => {
    seen.push(data)
    if (data === 2) throw new Error('handler')
  }
  const { sub, send, committed } = await onStream(client, peer, handler, { cursor: 'c', onError })
  send(1, 2, 3)
  expect(await committed()).toBe(2)
  expect(await peer.next('unsubscribe')).toEqual({ type: 'unsubscribe', sub })
  // Without a cursor nothing can be promised, and the next message follows.
  client.subscribe('b', handler, { onError })
  await peer.subscribed()
  peer.send(message(2, 'b'), message(4, 'b'))
  await expect.poll(() => seen).toEqual([1, 2, 2, 4])
  expect(uncaught).toMatchObject([{ message: 'onError' }, { message: 'onError' }])
})

it('a hub that does not answer the last commit delays the error by a second', async () => {
  const uncaught = hearUncaught()
  const { client, peer } = await hub.connected()
  const { send } = await onStream(client, peer, ({ data }) => data === 2 && throwing('handler')(), { cursor: 'c' })
  send(1, 2)
  await expect.poll(() => uncaught).toEqual(['handler'])
})

it('many that fail in one turn are told one after the other', async () => {
  const uncaught = hearUncaught()
  const { client, peer } = await hub.connected()
  let release = () => {}
  let first = true
  client.subscribe('a', () => {
    if (!first) throw new Error('handler')
    first = false
    return new Promise<void>((resolve) => {
      release = resolve
    })
  })
  const last = client.subscribe('end')
  await peer.subscribed()
  await peer.subscribed()
  const count = 15_000
  for (let n = 0; n < count; n += 1000) peer.send(...Array.from({ length: 1000 }, (_, i) => message(n + i)))
  peer.send(message(-1, 'end'))
  for await (const _ of last) break
  release()
  await expect.poll(() => uncaught.length).toBe(count - 1)
  expect(new Set(uncaught.map((error) => (error as Error).message))).toEqual(new Set(['handler']))
})

it.each([
  ['a query of a library', lazyQuery],
  ['a promise of another realm', inAnotherRealm],
])('waits for %s', async (_, promise) => {
  const { client, peer } = await hub.connected()
  const log: string[] = []
  const handler = ({ data }: Message) => {
    log.push(`begin ${data}`)
    return promise(async () => {
      await new Promise(setImmediate)
      log.push(`end ${data}`)
    })
  }
  const { send, committed } = await onStream(client, peer, handler, { cursor: 'c' })
  send(1, 2)
  expect(await committed(() => log, ['begin 1', 'end 1', 'begin 2', 'end 2'])).toBe(3)
})
