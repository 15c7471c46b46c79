import { beforeAll, expect, it } from 'vitest'
import type { Client, ConnectionStateChange, Message, SubscriptionGap } from '../../client/node.ts'
import { connect } from '../../client/node.ts'
import { freePort } from '../setup/free-port.ts'
import { onEveryEngine } from '../setup/hubs.ts'

interface Topics {
  'photos.uploaded': { name: string }
  numbers: number
  bytes: Uint8Array
}

onEveryEngine('client', (hubs) => {
  let url = ''
  beforeAll(async () => {
    url = (await hubs.start({ window: 16, outboxBytes: 512 * 1024 })).url
  })

  async function withClient(run: (client: Client<Topics>) => Promise<void>, to = url): Promise<void> {
    const client = connect<Topics>(to, { backoff: { base: 10, cap: 100 } })
    try {
      await run(client)
    } finally {
      await client.close()
    }
  }

  it('publishes to subscriptions that are read with for await', () =>
    withClient(async (client) => {
      const photos = client.subscribe('photos.*')
      await photos.ready
      const { id } = await client.publish('photos.uploaded', { name: 'a.jpg' }, { key: 'k', headers: { a: 'b' } })
      for await (const message of photos) {
        expect(message).toEqual({
          id,
          topic: 'photos.uploaded',
          data: { name: 'a.jpg' },
          key: 'k',
          headers: { a: 'b' },
        })
        break
      }
    }))

  it('calls the handlers of each subscription that matches', () =>
    withClient(async (client) => {
      const seen: string[] = []
      const all = client.subscribe('photos.#', (message) => void seen.push(`all ${message.topic}`))
      const one = client.subscribe('photos.uploaded', (message) => void seen.push(`one ${message.data.name}`))
      const big = client.subscribe('#', (message) => void seen.push(`big ${message.topic}`), {
        filter: { any: { size: 'big' } },
      })
      await Promise.all([all.ready, one.ready, big.ready])
      await client.publish('photos.uploaded', { name: '1' })
      await client.publish('photos.uploaded', { name: '2' }, { headers: { size: 'big' } })
      expect(seen.filter((line) => line.startsWith('all'))).toHaveLength(2)
      expect(seen.filter((line) => line.startsWith('one'))).toEqual(['one 1', 'one 2'])
      expect(seen.filter((line) => line.startsWith('big'))).toEqual(['big photos.uploaded'])
    }))

  it('carries bytes', () =>
    withClient(async (client) => {
      const bytes = client.subscribe('bytes')
      await bytes.ready
      await client.publish('bytes', new Uint8Array([0, 1, 255]))
      for await (const { data } of bytes) {
        expect([...data]).toEqual([0, 1, 255])
        break
      }
    }))

  it('keeps thousands of publishes within the window, in order', () =>
    withClient(async (client) => {
      const numbers = client.subscribe('numbers')
      await numbers.ready
      const all = Array.from({ length: 3000 }, (_, n) => client.publish('numbers', n))
      let expected = 0
      for await (const { data } of numbers) {
        expect(data).toBe(expected++)
        if (expected === all.length) break
      }
      expect(new Set((await Promise.all(all)).map(({ id }) => id)).size).toBe(3000)
    }))

  it('reports what the hub refused', () =>
    withClient(async (client) => {
      const refused = client.subscribe('numbers', { policy: 'pause' })
      await expect(refused.ready).rejects.toMatchObject({ code: 'policy_unsupported' })
      await expect(refused[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'policy_unsupported' })
      expect(() => client.subscribe('a.b*')).toThrow(expect.objectContaining({ code: 'bad_pattern' }))
      const untyped = client as unknown as Client
      await expect(untyped.publish('$sys.x', 1)).rejects.toMatchObject({ code: 'reserved_topic' })
      await expect(untyped.publish('a', 'x'.repeat(300 * 1024))).rejects.toMatchObject({ code: 'frame_too_large' })
    }))

  it('a slow reader pushes back to the hub, whose policy then decides; nothing is lost without a gap', () =>
    withClient(async (client) => {
      const gaps: SubscriptionGap[] = []
      const numbers = client.subscribe('numbers', { bufferLimit: 10, onGap: (gap) => gaps.push(gap) })
      await numbers.ready
      // The first number is read only after 20,000 have been published: more than buffers and outbox hold.
      const published = await Promise.allSettled(Array.from({ length: 20_000 }, (_, n) => client.publish('numbers', n)))
      const accepted = published.filter(({ status }) => status === 'fulfilled').length
      expect(accepted).toBeGreaterThanOrEqual(10_000)
      void client.publish('numbers', -1)
      let received = 0
      for await (const { data } of numbers) {
        if (data === -1) break
        received++
      }
      const lost = gaps.reduce((sum, gap) => sum + (gap.count ?? Number.NaN), 0)
      expect(received + lost).toBe(accepted)
      expect(new Set(gaps.map(({ reason }) => reason))).toEqual(new Set(['drop-oldest']))
    }))

  it('reconnects, resubscribes, sends what was queued, and reports that messages may be missing', async () => {
    const port = await freePort()
    const first = await hubs.start({ port })
    const changes: ConnectionStateChange[] = []
    const gaps: SubscriptionGap[] = []
    await withClient(async (client) => {
      client.onState((change) => changes.push(change))
      const received: Message<number>[] = []
      const two = new Promise<void>((resolve) => {
        client.subscribe(
          'numbers',
          (message) => {
            received.push(message)
            if (received.length === 2) resolve()
          },
          { onGap: (gap) => gaps.push(gap) },
        )
      })
      await client.ready()
      await client.publish('numbers', 1)
      const waiting = new Promise<void>((resolve) => client.onState(({ to }) => void (to === 'waiting' && resolve())))
      await first.hub.close()
      await waiting
      const offline = client.publish('numbers', 2)
      await hubs.start({ port })
      await offline
      await two
      expect(received.map(({ data }) => data)).toEqual([1, 2])
    }, first.url)
    expect(gaps).toEqual([{ count: undefined, reason: 'disconnected' }])
    expect(changes.map(({ to }) => to).filter((to) => to !== 'connecting')).toEqual(
      expect.arrayContaining(['connected', 'waiting', 'connected', 'closed']),
    )
    expect(changes.find(({ to }) => to === 'waiting')?.reason).toMatchObject({ code: 'shutting_down', closeCode: 4000 })
  })

  it('bounds its queue while offline', async () => {
    const client = connect('ws://127.0.0.1:1/', { queueLimit: 2 })
    const waiting = [client.publish('a', 1), client.publish('a', 2)]
    await expect(client.publish('a', 3)).rejects.toMatchObject({ code: 'send_buffer_full' })
    await client.close({ timeout: 1 })
    for (const publish of waiting) await expect(publish).rejects.toMatchObject({ code: 'client_closed' })
    await expect(client.ready()).rejects.toMatchObject({ code: 'client_closed' })
  })

  it('accepts an AbortSignal wherever it waits', async () => {
    const abort = new AbortController()
    const client = connect('ws://127.0.0.1:1/')
    const publish = client.publish('a', 1, { signal: abort.signal })
    const ready = client.ready({ signal: abort.signal })
    const subscription = client.subscribe('a', { signal: abort.signal })
    abort.abort(new Error('enough'))
    await expect(publish).rejects.toThrow('enough')
    await expect(ready).rejects.toThrow('enough')
    for await (const _ of subscription) expect.unreachable()
    await client.close()
  })

  it('leaves no timer, socket or listener behind', async () => {
    const abort = new AbortController()
    const before = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    const client = connect(url, { signal: abort.signal })
    client.subscribe('a', () => {})
    await client.ready()
    await client.close()
    expect(process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length).toBeLessThanOrEqual(before)
    abort.abort()
    expect(client.state).toBe('closed')
  })
})
