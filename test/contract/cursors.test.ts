import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { type Client, connect } from '../../client/node.ts'
import { hashApiKey, newApiKey } from '../../server/auth/api-key.ts'
import type { Hub, HubOptions, Permissions } from '../../server/index.ts'
import type { StreamPage } from '../../shared/json-message.ts'
import type { StreamInfo } from '../../shared/streams.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { publishNumbers, range } from '../setup/streams.ts'

const PERMISSIONS = {
  root: { admin: true },
  ann: { subscribe: ['s.ann.#'] },
  reader: { subscribe: ['s.#'] },
  narrow: { subscribe: ['s.public.#'] },
  stranger: { subscribe: ['elsewhere'] },
} satisfies Record<string, Permissions>
type Who = keyof typeof PERMISSIONS
const keys = Object.fromEntries(Object.keys(PERMISSIONS).map((name) => [name, newApiKey()])) as Record<Who, string>
const auth = {
  apiKeys: Object.entries(PERMISSIONS).map(([name, permissions]) => ({
    name,
    hash: hashApiKey(keys[name as Who]),
    permissions,
  })),
}

onEveryEngine('cursors and stored messages', (hubs) => {
  const closing: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
  })

  async function start(options: HubOptions = {}) {
    const started = await hubs.start({ auth, streams: [{ name: 's', topics: ['s.#'] }], ...options })
    closing.push(() => started.hub.close())
    return started
  }

  function client(hub: Hub, who: Who): Client {
    const client = connect(`ws://127.0.0.1:${hub.port}`, { token: keys[who] })
    closing.push(() => client.close())
    return client
  }

  const ask = (hub: Hub, who: Who, path: string, method = 'GET') =>
    fetch(`http://127.0.0.1:${hub.port}/v1${path}`, { method, headers: { authorization: `Bearer ${keys[who]}` } })

  /** Stores the position after the first message of a topic. */
  async function store(reader: Client, topic: string, cursor: string): Promise<void> {
    const subscription = reader.subscribe(topic, { from: 'earliest', cursor })
    let count = 0
    // Asking for the second one marks the first as handled.
    for await (const _ of subscription) if (++count === 2) break
  }

  it('of a client that sees a part of the stream are limited, so that others have theirs', async () => {
    const { hub } = await start()
    const [root, reader, ann] = [client(hub, 'root'), client(hub, 'reader'), client(hub, 'ann')]
    await publishNumbers(root, 's.ann.a', 0, 3)
    for (const n of range(0, 100)) await store(ann, 's.ann.#', `ann.${n}`)
    const more = ann.subscribe('s.ann.#', { from: 'earliest', cursor: 'ann.more' })[Symbol.asyncIterator]()
    await more.next()
    await more.next()
    const refused = new Promise((resolve) => {
      const one = ann.subscribe('s.ann.#', () => void setImmediate(() => one.commit().catch(resolve)), {
        from: 'earliest',
        cursor: 'ann.another',
      })
    })
    expect(await refused).toMatchObject({
      code: 'cursor_limit',
      message: expect.stringMatching(/"ann" has 100 cursors in stream "s"/),
      retry: false,
    })
    const stored = async () => (await root.admin.streams.cursors('s', { limit: 1000 })).cursors.map(({ name }) => name)
    await more.return?.()
    expect(await stored()).toHaveLength(100)
    // Its existing ones still move.
    await store(ann, 's.ann.#', 'ann.7')
    await store(reader, 's.#', 'reports')
    expect(await stored()).toContain('reports')
  })

  it('are listed and deleted by operators, by readers of the whole stream, and by their owner', async () => {
    const { hub } = await start()
    const [root, reader, ann, stranger] = [
      client(hub, 'root'),
      client(hub, 'reader'),
      client(hub, 'ann'),
      client(hub, 'stranger'),
    ]
    await publishNumbers(root, 's.ann.a', 0, 3)
    await store(ann, 's.ann.#', 'ann.tab1')
    await store(ann, 's.ann.#', 'ann.tab2')
    await store(reader, 's.#', 'reports')
    const names = async (who: Client, page = {}) =>
      (await who.admin.streams.cursors('s', page)).cursors.map(({ name }) => name)
    expect(await names(root)).toEqual(['ann.tab1', 'ann.tab2', 'reports'])
    expect(await names(reader)).toEqual(['ann.tab1', 'ann.tab2', 'reports'])
    expect(await names(ann)).toEqual(['ann.tab1', 'ann.tab2'])
    expect(await names(stranger)).toEqual([])
    expect(await root.admin.streams.cursors('s', { after: 'ann.tab1', limit: 1 })).toMatchObject({
      cursors: [{ name: 'ann.tab2', offset: 1, usedAt: expect.any(Number) }],
      end: false,
    })
    await expect(ann.admin.streams.deleteCursor('s', 'reports')).rejects.toMatchObject({ code: 'forbidden' })
    await expect(stranger.admin.streams.deleteCursor('s', 'ann.tab1')).rejects.toMatchObject({ code: 'forbidden' })
    await expect(root.admin.streams.deleteCursor('s', 'none')).rejects.toMatchObject({ code: 'no_cursor' })
    await expect(root.admin.streams.cursors('none')).rejects.toMatchObject({ code: 'no_stream' })
    await ann.admin.streams.deleteCursor('s', 'ann.tab2')
    await reader.admin.streams.deleteCursor('s', 'reports')
    const listed = await ask(hub, 'ann', '/streams/s/cursors?limit=5')
    expect(await listed.json()).toMatchObject({ cursors: [{ name: 'ann.tab1', offset: 1 }], end: true })
    expect((await ask(hub, 'root', '/streams/s/cursors/ann.tab1', 'DELETE')).status).toBe(200)
    expect((await ask(hub, 'root', '/streams/s/cursors/ann.tab1', 'DELETE')).status).toBe(404)
    expect(await root.admin.streams.show('s')).toMatchObject({ cursorCount: 0, cursors: {} })
  })

  it('are refused beyond cursorsPerStream, and listed a hundred at a time', async () => {
    const { hub } = await start({ cursorsPerStream: 150 })
    const root = client(hub, 'root')
    await publishNumbers(root, 's.a', 0, 2)
    let handled = 0
    const subscriptions = range(0, 150).map((n) =>
      root.subscribe('s.#', () => void handled++, { from: 'earliest', cursor: `tab-${n}` }),
    )
    await publishNumbers(root, 's.a', 2, 4)
    await expect.poll(() => handled, { timeout: 30_000 }).toBe(150 * 4)
    await Promise.all(subscriptions.map((each) => each.unsubscribe()))
    const { cursorCount, cursors }: StreamInfo = await root.admin.streams.show('s')
    expect([cursorCount, Object.keys(cursors).length]).toEqual([150, 100])
    const refused = new Promise((resolve) => {
      const more = root.subscribe(
        's.#',
        () => {
          // Once it counts as handled.
          setImmediate(() => more.commit().catch(resolve))
        },
        {
          from: 'earliest',
          cursor: 'more',
        },
      )
    })
    expect(await refused).toMatchObject({ code: 'cursor_limit', retry: false })
    const metrics = await (
      await fetch(`http://127.0.0.1:${hub.port}/metrics`, { headers: { authorization: `Bearer ${keys.root}` } })
    ).text()
    expect(metrics).toContain('fanfare_stream_cursors{stream="s"} 150')
    expect(metrics).toMatch(/fanfare_errors_total\{code="cursor_limit"\} [1-9]/)
  })

  it('no client reads what a stream captured before its topics were narrowed, unless it may', async () => {
    const data = await mkdtemp(join(tmpdir(), 'fanfare-narrowed-'))
    const before = await start({ data, streams: [{ name: 's', topics: ['s.public.#', 's.secret.#'] }] })
    const publisher = client(before.hub, 'root')
    for (const n of range(0, 3)) {
      await publisher.publish('s.public.note', n)
      await publisher.publish('s.secret.plan', n)
    }
    await publisher.close()
    await before.hub.close()
    const { hub } = await start({ data, streams: [{ name: 's', topics: ['s.public.#'] }] })
    closing.unshift(() => rm(data, { recursive: true }))
    const topicsOf = ({ messages }: StreamPage) => [...new Set(messages.map(({ topic }) => topic))]
    const page = async (who: Who) => (await (await ask(hub, who, '/streams/s/messages')).json()) as StreamPage
    expect(await page('narrow')).toMatchObject({ from: 0, next: 6, end: true })
    expect(topicsOf(await page('narrow'))).toEqual(['s.public.note'])
    expect(topicsOf(await page('root'))).toEqual(['s.public.note', 's.secret.plan'])
    expect(topicsOf(await page('reader'))).toEqual(['s.public.note', 's.secret.plan'])
    expect((await ask(hub, 'stranger', '/streams/s/messages')).status).toBe(403)
    const narrow = client(hub, 'narrow')
    const read = (await narrow.call('streams.read', { name: 's' })) as StreamPage
    expect(topicsOf(read)).toEqual(['s.public.note'])
    for (const from of ['earliest', { last: 5 }, { time: 0 }, { offset: 0 }] as const) {
      await expect(narrow.subscribe('s.#', { from, stream: 's' }).ready).rejects.toMatchObject({ code: 'forbidden' })
      const seen: string[] = []
      for await (const { topic } of narrow.subscribe('s.public.#', { from, stream: 's', cursor: 'shared' })) {
        if (seen.push(topic) === 3) break
      }
      expect(new Set(seen)).toEqual(new Set(['s.public.note']))
      await narrow.admin.streams.deleteCursor('s', 'shared')
    }
  })
})
