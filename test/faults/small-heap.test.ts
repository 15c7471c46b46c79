import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connect } from '../../client/node.ts'
import { ENGINES } from '../setup/engines.ts'
import { configFile, HubProcess } from '../setup/hub-process.ts'
import { Peer } from '../setup/peer.ts'
import { range } from '../setup/streams.ts'

const HEAP_MB = 192
/** What a hub of this heap may have in memory in all: its code, mapped pages and buffers come on top of the heap. */
const MOST_RESIDENT_MB = 500
const QUEUES = 1000
/** Connections that each subscribe as often as they may: about twice what there is room for. */
const CROWD = 24

/**
 * Each attack would have taken more than the heap. A peer of small rights sends it; what the hub has no room for, it
 * refuses with a code, and it goes on serving others.
 */
describe.each(ENGINES)(`a hub on %s with a heap of ${HEAP_MB} MB`, (engine) => {
  let folder: string
  let hub: HubProcess

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fanfare-small-heap-'))
    const queues = range(0, QUEUES).map((n) => ({ name: `q${n}` }))
    const config = await configFile(
      join(folder, 'config.json'),
      [{ name: 's', topics: ['s.#'] }],
      [...queues, { name: 'full', bindings: [{ topic: 'full' }], maxMessages: 1, overflow: 'block' }],
    )
    const limits = { 'cursors-per-stream': 500, 'max-streams': 200, 'max-queues': QUEUES + 200 }
    const options = { engine, config, data: join(folder, 'data'), ...limits }
    hub = await HubProcess.start(options, [`--max-old-space-size=${HEAP_MB}`])
  })
  afterAll(async () => {
    await hub.kill()
    await rm(folder, { recursive: true, force: true })
  })

  /** Has several peers do the same at once; resolves with the codes of all refusals, once the hub has read everything. */
  async function attack(peers: number, act: (peer: Peer) => Promise<void> | void): Promise<Set<string>> {
    const codes = new Set<string>()
    const attackers = await Promise.all(range(0, peers).map(() => Peer.hello(hub.url)))
    await Promise.all(
      attackers.map(async (peer) => {
        await act(peer)
        await Promise.race([peer.settled().catch(() => []), peer.closed])
        for (const frame of peer.frames) if (frame.type === 'error') codes.add(frame['code'] as string)
        peer.socket.terminate()
        await peer.closed
      }),
    )
    await serves()
    return codes
  }

  /** It publishes, keeps and hands out what another client asks for, is not much larger, and nothing failed. */
  async function serves(): Promise<void> {
    const client = connect(hub.url)
    expect((await client.publish('s.alive', 1)).positions).toHaveProperty('s')
    await client.enqueue('q0', 1)
    for await (const delivery of client.consume('q0')) {
      await delivery.ack()
      break
    }
    await client.close()
    expect(residentMb(hub.pid)).toBeLessThan(MOST_RESIDENT_MB)
  }

  it('limits publishes that wait for a full queue, and forgets them with their publishers', async () => {
    const data = 'x'.repeat(150_000)
    const client = connect(hub.url)
    await client.publish('full', 0)
    const codes = await attack(8, (peer) => {
      for (const n of range(0, 180)) peer.send({ type: 'publish', seq: n, topic: 'full', data })
    })
    expect([...codes]).toEqual(['waiting_limit'])
    const waiting = async () => (await client.admin.queues.show('full')).waitingPublishes
    await expect.poll(waiting).toBe(0)
    await client.close()
  })

  it('takes no filters and headers of any size', async () => {
    const codes = await attack(3, async (peer) => {
      for (const n of range(0, 150)) {
        const all = { k: `${n}${'x'.repeat(240_000)}` }
        peer.send({ type: 'subscribe', sub: n, pattern: 'a', filter: { all } })
        peer.send({ type: 'publish', seq: n, topic: 'a', headers: all })
      }
    })
    expect([...codes]).toEqual(['bad_frame'])
  })

  it('answers a few calls at a time, however many come in a frame, and whether or not the client reads', async () => {
    const calls = JSON.stringify(range(0, 4500).map((seq) => ({ type: 'call', seq, method: 'queues.list' })))
    const codes = await attack(4, (peer) => {
      peer.socket.pause()
      for (const _ of range(0, 3)) peer.socket.send(calls)
      peer.socket.resume()
    })
    expect([...codes]).toEqual(['too_many_calls'])
  })

  it('neither keeps nor logs parameters that are far too long', async () => {
    const to = 'q'.repeat(240_000)
    const codes = await attack(2, async (peer) => {
      for (const seq of range(0, 200)) {
        peer.send({ type: 'call', seq, method: 'deadLetters.redrive', params: { name: 'q1', to } })
        await peer.next('error')
      }
    })
    expect([...codes]).toEqual(['bad_params'])
  })

  it.each([
    ['to patterns of 32 words', (n: number) => ({ pattern: words(n, 32) })],
    ['with filters of 32 headers', (n: number) => ({ pattern: 'a', filter: { all: headers(n) } })],
    ['to streams', (n: number) => ({ pattern: `s.${words(n, 31)}`, from: 'latest', cursor: `c${n}` })],
  ])(
    'refuses subscriptions that it has no room for: %s',
    async (_, more) => {
      const peers = await Promise.all(range(0, CROWD).map(() => Peer.hello(hub.url, { compression: false })))
      let from = 0
      // All of them stay, and their subscriptions with them.
      for (const peer of peers) {
        for (const first of range(0, 20).map((part) => 50 * part)) {
          peer.send(...range(first, first + 50).map((sub) => ({ type: 'subscribe', sub, ...more(from + sub) })))
        }
        await peer.settled()
        from += 1000
      }
      const frames = peers.flatMap((peer) => peer.frames)
      const codes = frames.flatMap((frame) => (frame.type === 'error' ? [frame.code] : []))
      expect(new Set(codes)).toEqual(new Set(['hub_full']))
      expect(frames.filter(({ type }) => type === 'subscribed').length).toBeGreaterThan(5 * 1000)
      // Those that are there are served.
      peers[0]?.send({ type: 'publish', seq: 1, topic: 's.alive' })
      await peers[0]?.next('receipt')
      for (const peer of peers) peer.socket.terminate()
      await Promise.all(peers.map(({ closed }) => closed))
      const again = await Peer.hello(hub.url)
      const subscribes = () => {
        again.send({ type: 'subscribe', sub: 1, ...more(0) }, { type: 'unsubscribe', sub: 1 })
        return again.settled().then((answers) => answers.some(({ type }) => type === 'unsubscribed'))
      }
      await expect.poll(subscribes).toBe(true)
      again.socket.close()
      await again.closed
      await serves()
    },
    120_000,
  )

  it('makes no cursors, streams and queues without end', async () => {
    const codes = await attack(1, async (peer) => {
      for (const n of range(0, 600)) {
        peer.send({ type: 'subscribe', sub: n, pattern: 's.#', from: 'earliest', cursor: `c${n}` })
        peer.send({ type: 'commit', sub: n, offset: 0 }, { type: 'unsubscribe', sub: n })
      }
      await peer.next('error')
    })
    expect([...codes]).toEqual(['cursor_limit'])
    const client = connect(hub.url)
    const declareAll = async (declare: (name: string) => Promise<unknown>) => {
      for (const n of range(0, 300)) await declare(`more-${n}`)
    }
    const streams = declareAll((name) => client.admin.streams.declare({ name, topics: ['t'] }))
    await expect(streams).rejects.toMatchObject({ code: 'too_many_streams' })
    const queues = declareAll((name) => client.admin.queues.declare({ name }))
    await expect(queues).rejects.toMatchObject({ code: 'too_many_queues' })
    await client.close()
    await serves()
  })

  it('has failed at nothing of this', async () => {
    const { stderr } = await hub.kill('SIGTERM')
    expect(stderr.match(/"level":[56]0.*/g)).toBeNull()
    expect(stderr.length).toBeLessThan(1_000_000)
  })
})

/** Words that no other number has, in a pattern of the maximum length. */
function words(n: number, count: number): string {
  return range(0, count)
    .map((at) => (n * count + at).toString(36).padStart(6, '-'))
    .join('.')
}

function headers(n: number): Record<string, string> {
  return Object.fromEntries(range(0, 32).map((at) => [`h${n % 100}-${at}`, `${'x'.repeat(40)}${n}`]))
}

function residentMb(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}
