import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Client, Consumer, Delivery } from '../../client/node.ts'
import { connect } from '../../client/node.ts'
import { type Hub, startHub } from '../../server/index.ts'
import { block } from '../setup/block.ts'
import { FlakyNetwork } from '../setup/flaky-network.ts'
import { untilQueue } from '../setup/queues.ts'
import { range } from '../setup/streams.ts'

let hub: Hub
let clients: Client[]
let operator: Client
let network: FlakyNetwork
let hanging: (() => void)[]
beforeEach(async () => {
  hub = await startHub({ port: 0, logLevel: 'silent', drainTimeout: 100 })
  clients = []
  hanging = []
  network = await FlakyNetwork.to(hub.port)
  operator = client()
})
afterEach(async () => {
  for (const end of hanging) end()
  await Promise.all(clients.map((each) => each.close({ timeout: 100 })))
  await network.close()
  await hub.close()
})

function client(url = `ws://127.0.0.1:${hub.port}/`): Client {
  const made = connect(url, { backoff: { base: 1, cap: 20 } })
  clients.push(made)
  return made
}

async function fill(count: number, queue: object = {}): Promise<void> {
  await operator.admin.queues.declare({ name: 'q', backoff: { base: 1, cap: 1 }, ...queue })
  for (const n of range(0, count)) await operator.enqueue('q', n)
}

const settled = (wanted: Partial<Record<'ackedTotal' | 'deadLetters' | 'depth', number>>) =>
  untilQueue(operator, 'q', (info) => Object.entries(wanted).every(([name, value]) => info[name as 'depth'] === value))

/** A handler that hangs, until the test is over. */
const hang = () => new Promise<void>((resolve) => hanging.push(resolve))

describe('messages that wait for a handler', () => {
  it('is done once, however long it waits: its time counts from its begin', async () => {
    await fill(16, { ackDeadline: 1000 })
    const seen: [number, number][] = []
    client().consume<number>('q', async ({ data, attempt }) => {
      seen.push([data, attempt])
      await wait(150)
    })
    await settled({ ackedTotal: 16 })
    expect(seen).toEqual(range(0, 16).map((n) => [n, 1]))
  })

  it('is done once by a loop too', async () => {
    await fill(10, { ackDeadline: 800 })
    const seen: [number, number][] = []
    for await (const delivery of client().consume<number>('q')) {
      seen.push([delivery.data, delivery.attempt])
      await wait(200)
      await delivery.ack()
      if (seen.length === 10) break
    }
    expect(seen).toEqual(range(0, 10).map((n) => [n, 1]))
    expect(await operator.admin.queues.show('q')).toMatchObject({ ackedTotal: 10, deadLetters: 0 })
  })

  it('is done once by handlers that block the event loop', async () => {
    await fill(12, { ackDeadline: 800 })
    const seen: [number, number][] = []
    client().consume<number>('q', ({ data, attempt }) => {
      seen.push([data, attempt])
      block(150)
    })
    await settled({ ackedTotal: 12 })
    expect(seen).toEqual(range(0, 12).map((n) => [n, 1]))
    expect(await operator.admin.queues.show('q')).toMatchObject({ timedOutTotal: 0, redeliveredTotal: 0 })
  })

  it('go to another consumer that is idle, uncharged, even if the handler hangs', async () => {
    await fill(16, { ackDeadline: '1h' })
    client().consume('q', hang)
    await untilQueue(operator, 'q', ({ inFlight }) => inFlight === 16)
    const seen: [number, number][] = []
    client().consume<number>('q', ({ data, attempt }) => void seen.push([data, attempt]))
    await settled({ ackedTotal: 15 })
    expect(seen.toSorted(([a], [b]) => a - b)).toEqual(range(1, 16).map((n) => [n, 1]))
  })

  it('is not charged when its connection is cut, again and again', async () => {
    await fill(16, { maxAttempts: 3, backoff: { base: '1h', cap: '1h' } })
    for (const _ of range(0, 4)) {
      const dying = client(network.url)
      const begun = new Promise<void>((resolve) => {
        dying.consume('q', () => {
          resolve()
          return hang()
        })
      })
      await begun
      await untilQueue(operator, 'q', ({ inFlight }) => inFlight > 1)
      network.refuse()
      await untilQueue(operator, 'q', ({ inFlight }) => inFlight === 0)
      await dying.close()
      network.allow()
    }
    const seen: [number, number][] = []
    client().consume<number>('q', ({ data, attempt }) => void seen.push([data, attempt]))
    await settled({ ackedTotal: 12 })
    expect(seen.every(([, attempt]) => attempt === 1)).toBe(true)
  })
})

describe('a handler that never ends', () => {
  it('fails after maxRunTime, its signal aborts, and its place is free', async () => {
    await fill(3, { ackDeadline: 1500, maxAttempts: 2 })
    const reasons: unknown[] = []
    const errors: unknown[] = []
    const options = {
      maxRunTime: 2_500,
      onError: (error: unknown, d?: Delivery) => void errors.push([error, d?.data]),
    }
    client().consume<number>(
      'q',
      ({ data, signal }) => {
        if (data !== 0) return undefined
        signal.addEventListener('abort', () => reasons.push(signal.reason))
        return hang()
      },
      options,
    )
    await settled({ ackedTotal: 2, deadLetters: 1 })
    const [letter] = await operator.admin.queues.deadLetters.list('q')
    expect(letter).toMatchObject({ attempts: 2, message: { data: 0 } })
    expect(letter?.error).toContain('ran longer than its limit')
    expect(reasons).toMatchObject([{ code: 'handler_timeout' }, { code: 'handler_timeout' }])
    expect(errors).toMatchObject([
      [{ code: 'handler_timeout' }, 0],
      [{ code: 'handler_timeout' }, 0],
    ])
  })

  it('keeps its lease until then, by few extensions', async () => {
    await fill(1, { ackDeadline: 1200 })
    let signal: AbortSignal | undefined
    client().consume('q', async (delivery) => {
      signal = delivery.signal
      await wait(3_000)
    })
    await settled({ ackedTotal: 1 })
    expect(signal?.aborted).toBe(false)
    expect(await operator.admin.queues.show('q')).toMatchObject({ timedOutTotal: 0, redeliveredTotal: 0 })
  })

  it.each([{ maxRunTime: 0 }, { maxRunTime: Number.NaN }, { concurrency: 0 }, { concurrency: Number.NaN }])(
    '%j is refused',
    (options) => {
      expect(() => operator.consume('q', () => {}, options)).toThrow(expect.objectContaining({ code: 'bad_option' }))
    },
  )
})

describe('the signal of a delivery', () => {
  it.each(['connection', 'queue'])('aborts when its %s is gone', async (what) => {
    await fill(1)
    const warned = vi.spyOn(console, 'warn').mockImplementation(() => {})
    let signal: AbortSignal | undefined
    let finish = () => {}
    client(network.url).consume('q', (delivery) => {
      signal = delivery.signal
      return new Promise<void>((resolve) => (finish = resolve))
    })
    await expect.poll(() => signal).toBeDefined()
    if (what === 'queue') await operator.admin.queues.delete('q')
    else network.refuse()
    await expect.poll(() => signal?.aborted).toBe(true)
    finish()
    // A message may be handled twice: that is reported.
    await expect.poll(() => warned.mock.calls.length).toBe(1)
    expect(warned.mock.calls[0]?.[0]).toContain('its lease was lost')
    warned.mockRestore()
  })

  it('aborts when its time runs out; then the message comes again', async () => {
    await fill(1, { ackDeadline: 800 })
    const attempts: [number, AbortSignal][] = []
    const errors: unknown[] = []
    const consumer = client().consume('q')
    for await (const delivery of consumer) {
      attempts.push([delivery.attempt, delivery.signal])
      if (delivery.attempt === 2) {
        await delivery.ack()
        break
      }
    }
    expect(attempts.map(([attempt, { aborted }]) => [attempt, aborted])).toEqual([
      [1, true],
      [2, false],
    ])
    expect(errors).toEqual([])
  })
})

describe('what a handler throws never ends the process', () => {
  const strange: Record<string, () => unknown> = {
    'Object.create(null)': () => Object.create(null),
    'an object that has no text': () => ({
      toString() {
        throw new Error('no text')
      },
    }),
    'a BigInt': () => 10n,
    'a symbol': () => Symbol('s'),
    'an error whose stack is no text': () => Object.assign(new Error('x'), { stack: Object.create(null) }),
    'a proxy that throws': () =>
      new Proxy(
        {},
        {
          get() {
            throw new Error('no')
          },
          getPrototypeOf() {
            throw new Error('no')
          },
        },
      ),
    undefined: () => undefined,
  }
  it.each(Object.keys(strange))('%s', async (name) => {
    await fill(2, { maxAttempts: 1 })
    const thrown: unknown[] = []
    client().consume<number>(
      'q',
      ({ data }) => {
        const error = strange[name]?.()
        if (data === 0) throw error
        return Promise.reject(error)
      },
      { onError: () => thrown.push(name) },
    )
    await settled({ deadLetters: 2 })
    expect(thrown).toEqual([name, name])
  })

  it('and neither does what it returns', async () => {
    await fill(5, { maxAttempts: 1 })
    const returns: unknown[] = [
      10n,
      Object.create(null),
      Object.defineProperty({}, 'then', {
        get() {
          throw new Error('a getter')
        },
      }),
      // biome-ignore lint/suspicious/noThenProperty: queries of some libraries are such things
      { then: (_: unknown, failed: (error: unknown) => void) => failed(Object.create(null)) },
      {
        // biome-ignore lint/suspicious/noThenProperty: this one is broken
        then(done: () => void) {
          done()
          throw new Error('twice')
        },
      },
    ]
    client().consume<number>('q', ({ data }) => returns[data])
    await settled({ ackedTotal: 3, deadLetters: 2 })
  })
})

describe('a consumer', () => {
  it('that is closed returns at once what has not begun, and waits for the running handler', async () => {
    await fill(16)
    let finish = () => {}
    const consumer = client().consume('q', () => new Promise<void>((resolve) => (finish = resolve)))
    await untilQueue(operator, 'q', ({ inFlight }) => inFlight === 16)
    const closed = consumer.close()
    const seen: [number, number][] = []
    client().consume<number>('q', ({ data, attempt }) => void seen.push([data, attempt]))
    await settled({ ackedTotal: 15 })
    expect(seen).toEqual(range(1, 16).map((n) => [n, 1]))
    finish()
    await closed
    await consumer.ended
    expect(await operator.admin.queues.show('q')).toMatchObject({ ackedTotal: 16, redeliveredTotal: 0 })
  })

  it.each([
    ['before it awaits anything', 0, 30],
    ['in a later turn', 0, 0],
    ['after it has awaited something', 10, 30],
  ])('that is closed by its own handler %s handles that message once', async (_, beforeMs, afterMs) => {
    await fill(3, { backoff: { base: 1, cap: 1 } })
    const seen: number[] = []
    let closed: Promise<void> | undefined
    const consumer: Consumer<number> = client().consume<number>('q', ({ data }) => {
      seen.push(data)
      const close = () => {
        closed = consumer.close()
      }
      if (beforeMs === 0) close()
      return afterMs === 0
        ? undefined
        : wait(beforeMs)
            .then(() => (beforeMs > 0 ? close() : undefined))
            .then(() => wait(afterMs))
    })
    await consumer.ended
    await closed
    expect(seen).toEqual([0])
    await settled({ ackedTotal: 1, depth: 2 })
  })

  it('that is cancelled while a handler hangs does not block its close', async () => {
    await fill(1)
    const ending = client()
    const consumer = ending.consume('q', hang)
    await untilQueue(operator, 'q', ({ inFlight }) => inFlight === 1)
    const closed = consumer.close()
    await ending.close({ timeout: 50 })
    await closed
    await consumer.ended
  })

  it('whose client closes while a handler hangs charges nothing', async () => {
    await fill(16)
    const dying = client()
    const signals: AbortSignal[] = []
    dying.consume('q', ({ signal }) => {
      signals.push(signal)
      return hang()
    })
    await untilQueue(operator, 'q', ({ inFlight }) => inFlight === 16)
    const closed = dying.close({ timeout: 2_000 })
    const seen: [number, number][] = []
    client().consume<number>('q', ({ data, attempt }) => void seen.push([data, attempt]))
    await settled({ ackedTotal: 15 })
    await closed
    await settled({ ackedTotal: 16 })
    expect(seen.toSorted(([a], [b]) => a - b)).toEqual(range(0, 16).map((n) => [n, 1]))
    expect(signals.map(({ aborted }) => aborted)).toEqual([true])
  })

  it('that is iterated ends at once, even while next() is pending, and returns what was not read', async () => {
    await fill(0)
    const pending = client().consume('q')[Symbol.asyncIterator]()
    const next = pending.next()
    await pending.return?.()
    expect(await next).toEqual({ done: true, value: undefined })
    expect(await pending.next()).toEqual({ done: true, value: undefined })
    const unread = client().consume('q')
    await unread.ready
    for (const n of range(0, 5)) await operator.enqueue('q', n)
    await untilQueue(operator, 'q', ({ inFlight }) => inFlight === 5)
    await unread[Symbol.asyncIterator]().return?.()
    expect(await untilQueue(operator, 'q', ({ consumers }) => consumers === 0)).toMatchObject({ depth: 5 })
    const seen: [number, number][] = []
    client().consume<number>('q', ({ data, attempt }) => void seen.push([data, attempt]))
    await settled({ ackedTotal: 5 })
    expect(seen).toEqual(range(0, 5).map((n) => [n, 1]))
  })

  it('that is never read costs no attempt, however long', async () => {
    await fill(3, { ackDeadline: 800, maxAttempts: 2 })
    const unread: Consumer = client().consume('q')
    await unread.ready
    await wait(2_200)
    expect(await operator.admin.queues.show('q')).toMatchObject({ deadLetters: 0, timedOutTotal: 0 })
    const reader = unread[Symbol.asyncIterator]()
    for (const n of range(0, 3)) {
      const { value } = await reader.next()
      expect([value?.data, value?.attempt]).toEqual([n, 1])
      await value?.ack()
    }
  })
})
