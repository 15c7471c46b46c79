import { expect, it } from 'vitest'
import { onEveryEngine } from '../setup/hubs.ts'
import { range, streamWorlds } from '../setup/streams.ts'

onEveryEngine('work of a client in progress', (hubs) => {
  const start = streamWorlds(hubs)

  it('is all answered, however many requests it makes at once', async () => {
    const { client } = await start()
    await client().respond('double', ({ data }) => Number(data) * 2).ready
    const asker = client()
    expect(await Promise.all(range(0, 600).map((n) => asker.request('double', n)))).toEqual(
      range(0, 600).map((n) => n * 2),
    )
    expect(asker.state).toBe('connected')
  })

  it('shares the window: publishes, requests and calls in one turn', async () => {
    const { client } = await start({ window: 8, calls: 2, queues: [{ name: 'q' }] })
    await client().respond('r', () => 'answer').ready
    const busy = client()
    const changes: string[] = []
    await busy.ready()
    busy.onState(({ reason }) => changes.push(reason.code))
    const all = range(0, 300).flatMap((n) => [busy.publish('a', n), busy.request('r', n), busy.call('hub.show')])
    await Promise.all(all)
    expect(changes).toEqual([])
  })

  it('waits for a full queue that blocks, as long as each request may take', async () => {
    const { client } = await start({ window: 16, queues: [{ name: 'q', maxMessages: 1, overflow: 'block' }] })
    await client().respond('r', () => 'answer').ready
    const busy = client()
    const publishes = range(0, 40).map((n) => busy.enqueue('q', n))
    await publishes[0]
    await expect(busy.request('r', 1, { timeout: 200 })).rejects.toMatchObject({ code: 'request_timeout' })
    const stop = new AbortController()
    const given = expect(busy.request('r', 2, { signal: stop.signal })).rejects.toBe('enough')
    stop.abort('enough')
    await given
    const patient = busy.request('r', 3)
    const worker = client().consume('q', () => {})
    await Promise.all(publishes)
    expect(await patient).toBe('answer')
    await worker.close()
  })

  it('survives many subscriptions before the welcome of a hub with small limits', async () => {
    const { client } = await start({ frameBytes: 1500 })
    const many = client()
    const all = range(0, 300).map((n) => many.subscribe(`topics.${'x'.repeat(50)}.${n}`))
    await Promise.all(all.map(({ ready }) => ready))
    expect(many.state).toBe('connected')
  })

  it('survives a hub that checks a token while everything is subscribed', async () => {
    const authenticate = async ({ token }: { readonly token?: string | undefined }) => {
      await new Promise((resolve) => setTimeout(resolve, 100))
      return token === 'ann' ? { subject: 'ann', permissions: { admin: true as const } } : undefined
    }
    const { url } = await start({ auth: { authenticate } })
    const { client } = await start()
    const many = client(url, { token: 'ann\n' })
    const filter = { all: Object.fromEntries(range(0, 20).map((n) => [`h${n}`, 'x'.repeat(90)])) }
    const all = range(0, 400).map((n) => many.subscribe(`topics.${n}`, { filter }))
    await Promise.all(all.map(({ ready }) => ready))
    expect(many.state).toBe('connected')
  })
})
