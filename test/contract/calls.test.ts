import { monitorEventLoopDelay } from 'node:perf_hooks'
import { expect, it } from 'vitest'
import { hashApiKey, newApiKey } from '../../server/auth/api-key.ts'
import type { ErrorFrame, Frame } from '../../shared/frames.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { Peer } from '../setup/peer.ts'
import { range, streamWorlds } from '../setup/streams.ts'

const nobody = newApiKey()
const root = newApiKey()
const auth = {
  apiKeys: [
    { name: 'nobody', hash: hashApiKey(nobody), permissions: {} },
    { name: 'root', hash: hashApiKey(root), permissions: { admin: true } },
  ],
}
const METHODS = [
  'queues.list',
  'streams.list',
  'hub.show',
  'connections.list',
  'streams.read',
  'deadLetters.list',
  'no.such',
]
const FRAME = 250_000

onEveryEngine('calls', (hubs) => {
  const start = streamWorlds(hubs)

  async function peerOf(url: string, token: string): Promise<Peer> {
    const peer = await Peer.open(url)
    peer.send({ type: 'hello', token })
    await peer.next('welcome')
    return peer
  }

  /** As many frames as fit into one message. */
  function full(frame: object): string {
    const count = Math.floor(FRAME / (JSON.stringify(frame).length + 12))
    return JSON.stringify(range(0, count).map((seq) => ({ ...frame, seq })))
  }

  it.each(METHODS)('a frame full of calls of %s, without any permission, costs no time', async (method) => {
    const queues = range(0, 500).map((n) => ({ name: `q${n}` }))
    const { url } = await hubs.start({ auth, queues, outboxBytes: 8_000_000 })
    const other = await peerOf(url, root)
    const peer = await peerOf(url, nobody)
    const text = full({ type: 'call', method, params: { name: 'q1' } })
    const late = monitorEventLoopDelay({ resolution: 5 })
    late.enable()
    peer.socket.send(text)
    const answers = await answersTo(peer, JSON.parse(text).length)
    expect((await other.settled()).length).toBe(0)
    // The hub, both peers and their JSON share this process: the hub's turn is only a part of the measured one.
    expect(late.max / 1e6).toBeLessThan(1000)
    // Those of a later turn may be accepted again once earlier ones have been answered.
    expect(answers.filter(({ type }) => type === 'error').length).toBeGreaterThan(answers.length / 2)
    expect(
      answers.every(
        (frame) =>
          frame.type === 'result' ||
          ['forbidden', 'too_many_calls', 'unknown_method', 'bad_params', 'no_stream'].includes(
            (frame as ErrorFrame).code,
          ),
      ),
    ).toBe(true)
  })

  it('with wrong parameters get a response that is smaller than they are', async () => {
    const { peer } = await start()
    const by = await peer()
    const wrong = Object.fromEntries(range(0, 5000).map((n) => [`field${n}`, n]))
    const cases: [string, object][] = [
      ['queues.declare', { name: 'q', ...wrong }],
      ['queues.declare', { name: 'q', bindings: range(0, 9000).map(() => 1) }],
      ['queues.declare', { name: 'x'.repeat(100_000) }],
      ['streams.declare', { name: 'q', topics: range(0, 9000).map(() => '..') }],
      ['deadLetters.list', { name: 'q', filter: { letters: range(0, 20_000).map(() => 'x') } }],
      ['deadLetters.redrive', { name: 'q', to: 'x'.repeat(200_000) }],
      ['connections.show', { connection: 'x'.repeat(200_000) }],
      ['queues.unpark', { name: 'q', key: 'x'.repeat(200_000) }],
      ['streams.trim', range(0, 40_000)],
    ]
    for (const [seq, [method, params]] of cases.entries()) {
      by.send({ type: 'call', seq, method, params })
      const error = await by.next('error')
      expect(error, method).toMatchObject({ code: 'bad_params', seq })
      expect(error.message.length, method).toBeLessThan(600)
    }
  })

  it('beyond the limit are refused, and the others are answered in order', async () => {
    const { peer } = await start({ calls: 3 })
    const by = await peer()
    by.send(...range(0, 5).map((seq) => ({ type: 'call', seq, method: 'hub.show' })))
    const answers = await answersTo(by, 5)
    expect(answers.map((frame) => [frame.type, (frame as ErrorFrame).seq])).toEqual([
      ['error', 3],
      ['error', 4],
      ['result', 0],
      ['result', 1],
      ['result', 2],
    ])
    expect(answers[0]).toMatchObject({ code: 'too_many_calls', retry: true })
    by.send({ type: 'call', seq: 9, method: 'hub.show' })
    expect((await answersTo(by, 6)).at(-1)).toMatchObject({ type: 'result', seq: 9 })
  })

  it('beyond the limit are held back by the client, however many it makes', async () => {
    const { client } = await start({ calls: 2 })
    const admin = client()
    const names = range(0, 20).map((n) => `q${n}`)
    await Promise.all(names.map((name) => admin.admin.queues.declare({ name })))
    expect((await Promise.all(names.map((name) => admin.admin.queues.show(name)))).map(({ name }) => name)).toEqual(
      names,
    )
  })

  it('do not start while their responses are not read', async () => {
    const queues = range(0, 400).map((n) => ({ name: `queue-of-a-long-name-${n}` }))
    const { hub, peer } = await start({ queues })
    const by = await peer()
    by.stall()
    const text = full({ type: 'call', method: 'queues.list' })
    by.socket.send(text)
    const other = await peer()
    for (let n = 0; n < 20; n++) await other.settled()
    // A page is less than half a megabyte; sixty of them are many times the outbox.
    expect(hub.outboxBytes).toBeLessThan(1024 * 1024)
    by.goOn()
    const answers = await answersTo(by, JSON.parse(text).length)
    expect(answers.filter(({ type }) => type === 'error').length).toBeGreaterThan(answers.length / 2)
  })
})

async function answersTo(peer: Peer, count: number): Promise<Frame[]> {
  const answers = () => peer.frames.filter(({ type }) => type === 'result' || type === 'error')
  await expect.poll(() => answers().length).toBe(count)
  return answers()
}
