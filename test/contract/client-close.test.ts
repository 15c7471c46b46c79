import { expect, it } from 'vitest'
import { connect } from '../../client/node.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { range, streamWorlds } from '../setup/streams.ts'

const GAVE_UP_NOTHING = { unsent: 0, unanswered: 0 }

onEveryEngine('close()', (hubs) => {
  const start = streamWorlds(hubs)

  it('sends everything published before, even if there was no connection yet', async () => {
    const { url, client } = await start({ window: 8 })
    const got: unknown[] = []
    await client().subscribe('t', ({ data }) => void got.push(data)).ready
    const brief = connect(url)
    const receipts = range(0, 100).map((n) => brief.publish('t', n))
    expect(await brief.close()).toEqual(GAVE_UP_NOTHING)
    await Promise.all(receipts)
    await expect.poll(() => got).toEqual(range(0, 100))
  })

  it('waits for requests and calls, queued and under way', async () => {
    const { url, client } = await start()
    let reply = (_text: string) => {}
    const replied = new Promise<string>((resolve) => {
      reply = resolve
    })
    await client().respond('slow', () => replied).ready
    const brief = connect(url)
    const early = brief.request('slow')
    await brief.ready()
    const [late, declared] = [brief.request('slow'), brief.admin.queues.declare({ name: 'late' })]
    const closed = brief.close()
    reply('reply')
    expect(await closed).toEqual(GAVE_UP_NOTHING)
    expect(await early).toBe('reply')
    expect(await late).toBe('reply')
    expect(await declared).toMatchObject({ name: 'late' })
    expect((await client().admin.queues.show('late')).name).toBe('late')
  })

  it('lets a responder finish what it has begun; later requests go to another', async () => {
    const { url, client } = await start()
    const leaving = connect(url)
    let begun = 0
    await leaving.respond('r', async () => {
      begun++
      await new Promise((resolve) => setTimeout(resolve, 200))
      return 'leaving'
    }).ready
    const asker = client()
    const first = range(0, 5).map(() => asker.request('r'))
    await expect.poll(() => begun).toBe(5)
    await client().respond('r', () => 'staying').ready
    const closed = leaving.close()
    const replies: unknown[] = []
    for (let n = 0; n < 50; n++) replies.push(await asker.request('r'))
    expect(await closed).toEqual(GAVE_UP_NOTHING)
    expect(await Promise.all(first)).toEqual(Array(5).fill('leaving'))
    expect(replies.at(-1)).toBe('staying')
    expect(await asker.request('r')).toBe('staying')
  })

  it('returns how many it gave up after its timeout, and each of them rejects', async () => {
    const { url, client } = await start({ window: 1 })
    await client().respond('never', () => new Promise(() => {})).ready
    const brief = connect(url)
    await brief.ready()
    const all = [brief.request('never'), brief.publish('t', 1), brief.request('never')]
    const told = Promise.all(all.map((each) => each.catch(({ code }) => code)))
    expect(await brief.close({ timeout: 100 })).toEqual({ unsent: 2, unanswered: 1 })
    expect(await told).toEqual(['connection_lost', 'client_closed', 'client_closed'])
    expect(await brief.close()).toEqual({ unsent: 2, unanswered: 1 })
  })

  it('returns at once if nothing is pending, and after its timeout if there is no hub', async () => {
    const { url } = await start()
    const idle = connect('ws://127.0.0.1:1')
    idle.subscribe('a')
    const begun = performance.now()
    expect(await idle.close()).toEqual(GAVE_UP_NOTHING)
    const connected = connect(url)
    await connected.ready()
    await connected.close()
    expect(performance.now() - begun).toBeLessThan(3000)
    const offline = connect('ws://127.0.0.1:1')
    const lost = expect(offline.publish('t', 1)).rejects.toMatchObject({ code: 'client_closed' })
    expect(await offline.close({ timeout: 100 })).toEqual({ unsent: 1, unanswered: 0 })
    await lost
  })
})
