import { afterEach, expect, it } from 'vitest'
import { type Client, connect, type SubscribeOptions } from '../../client/node.ts'
import type { ConnectionInfo } from '../../shared/sys.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { Peer } from '../setup/peer.ts'
import { SlowHandler } from '../setup/slow-handler.ts'

const HANDLER_MS = 10
const OUTBOX_BYTES = 48 * 1024
/** Far less in total than sockets take. */
const MESSAGES = 500
const PER_TURN = 3
const TURN_MS = 5
const TEXT = 'x'.repeat(200)

onEveryEngine('a slow handler', (hubs) => {
  const closing: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const close of closing.splice(0)) await close()
  })

  async function start(options: SubscribeOptions, topic = 'flood') {
    const streams = [{ name: 's', topics: ['kept'] }]
    const { hub, url } = await hubs.start({ outboxBytes: OUTBOX_BYTES, frameBytes: 16 * 1024, streams })
    const publisher = connect(url, { name: 'publisher' })
    const reader = await SlowHandler.start({ url, pattern: topic, handlerMs: HANDLER_MS, options })
    closing.push(
      () => publisher.close(),
      () => reader.stop(),
    )
    return { hub, url, publisher, reader, topic }
  }

  const shown = async (publisher: Client) => {
    const { connections } = await publisher.admin.connections.list()
    return connections.find(({ client }) => client === 'slow') as ConnectionInfo
  }

  /** Publishes more than is handled meanwhile. Resolves to what the hub showed of the reader just before the end. */
  async function flood({ publisher, topic }: { publisher: Client; topic: string }): Promise<ConnectionInfo> {
    for (let n = 0; n < MESSAGES; n++) {
      void publisher.publish(topic, { n, at: Date.now(), text: TEXT }, { key: `key-${n % 7}` }).catch(() => {})
      if (n % PER_TURN === 0) await passed(TURN_MS)
    }
    return shown(publisher)
  }

  it('with conflate gets the newest of each key, and soon', async () => {
    const world = await start({ policy: 'conflate' })
    const during = await flood(world)
    expect(during.lagMs).toBeGreaterThan(0)
    expect(during.droppedTotal).toBeGreaterThan(MESSAGES / 4)
    const { reader } = world
    await expect.poll(() => reader.accounted).toBe(MESSAGES)
    expect(new Set(reader.gaps.map(({ reason }) => reason))).toEqual(new Set(['conflate']))
    expect(reader.handled.slice(-7).map(({ n }) => n)).toEqual(Array.from({ length: 7 }, (_, n) => MESSAGES - 7 + n))
    const ages = reader.handled.slice(-40).map(({ ageMs }) => ageMs)
    // Handling everything that was published takes five seconds, and more on a busy machine.
    expect(Math.max(...ages)).toBeLessThan(4000)
    await expect.poll(() => shown(world.publisher)).toMatchObject({ lagMs: 0, outboxBytes: 0 })
  })

  it.each(['drop-oldest', 'drop-newest'] as const)(
    'with %s loses what its outbox cannot hold, and is notified',
    async (policy) => {
      const world = await start({ policy })
      const during = await flood(world)
      expect(during.lagMs).toBeGreaterThan(0)
      expect(during.outboxBytes).toBeGreaterThan(OUTBOX_BYTES / 2)
      const { reader } = world
      await expect.poll(() => reader.accounted).toBe(MESSAGES)
      expect(new Set(reader.gaps.map(({ reason }) => reason))).toEqual(new Set([policy]))
      const last = reader.handled.at(-1)?.n
      if (policy === 'drop-oldest') expect(last).toBe(MESSAGES - 1)
      else expect(reader.handled.slice(0, 100).map(({ n }) => n)).toEqual(Array.from({ length: 100 }, (_, n) => n))
    },
  )

  it('with disconnect loses its connection', async () => {
    const world = await start({ policy: 'disconnect' })
    await flood(world)
    const lost = () => world.reader.seen.find(({ what }) => what === 'lost')
    await expect.poll(lost).toMatchObject({ closeCode: 4001 })
    expect(world.reader.handled.length).toBeLessThan(MESSAGES)
  })

  it('with pause is fed from the log at its own pace, and loses nothing', async () => {
    const world = await start({ policy: 'pause', from: 'earliest' }, 'kept')
    const during = await flood(world)
    expect(during.subscriptions[0]).toMatchObject({ behind: true })
    const { reader } = world
    await expect.poll(() => reader.handled.length).toBe(MESSAGES)
    expect(reader.handled.map(({ n }) => n)).toEqual(Array.from({ length: MESSAGES }, (_, n) => n))
    expect(reader.gaps).toEqual([])
  })
})

onEveryEngine('a client that answers checks', (hubs) => {
  async function hello(url: string): Promise<Peer> {
    const peer = await Peer.open(url)
    peer.send({ type: 'hello', checks: true })
    await peer.next('welcome')
    return peer
  }

  const ofType = (peer: Peer, type: string) => peer.frames.filter((frame) => frame.type === type)

  /** Answers all checks received and not answered yet, after a while. */
  function answerer(peer: Peer): (ms: number) => void {
    let answered = 0
    return (ms) => {
      const checks = ofType(peer, 'check').slice(answered) as { n: number }[]
      answered += checks.length
      setTimeout(() => {
        for (const { n } of checks) peer.send({ type: 'checked', n })
      }, ms)
    }
  }

  it('and then stops is a slow one, holds no more than its outbox, and stays connected', async () => {
    const { hub, url } = await hubs.start({ outboxBytes: OUTBOX_BYTES, frameBytes: 16 * 1024, pingInterval: 200 })
    const [silent, other, publisher] = [await hello(url), await Peer.hello(url), await Peer.hello(url)]
    await silent.subscribe(1, 'flood')
    await other.subscribe(1, 'flood')
    const sent = 2000
    for (let n = 0; n < sent; n++) {
      publisher.send({ type: 'publish', seq: n, topic: 'flood', data: { n, text: TEXT } })
      if (n % 50 === 49) await publisher.settled()
      expect(hub.outboxBytes).toBeLessThanOrEqual(OUTBOX_BYTES + 2048)
    }
    await expect.poll(() => ofType(other, 'message').length).toBe(sent)
    expect(ofType(other, 'check')).toEqual([])
    const before = ofType(silent, 'message').length
    expect(before).toBeLessThan(sent / 4)
    // Several ping intervals: it is heard, though it does not answer checks.
    await passed(1500)
    expect(silent.socket.readyState).toBe(silent.socket.OPEN)
    const answer = answerer(silent)
    const last = () => ofType(silent, 'message').at(-1) as { data?: { n: number } } | undefined
    while (last()?.data?.n !== sent - 1) {
      answer(0)
      await passed(2)
    }
    const lost = (ofType(silent, 'gap') as { count: number }[]).reduce((sum, { count }) => sum + count, 0)
    expect(ofType(silent, 'message').length + lost).toBe(sent)
  })

  it('is checked after its welcome when there is traffic, and not while the connection is idle', async () => {
    const { url } = await hubs.start()
    const peer = await hello(url)
    expect(await peer.next('check')).toEqual({ type: 'check', n: 1 })
    peer.send({ type: 'checked', n: 1 }, { type: 'checked', n: 1 }, { type: 'checked', n: 99 })
    for (let n = 0; n < 20; n++) expect(await peer.settled()).toEqual([])
  })

  it('does not use up its rate limits by that', async () => {
    const { url } = await hubs.start({ messagesPerSecond: 2 })
    const peer = await hello(url)
    await peer.next('check')
    const answer = answerer(peer)
    answer(0)
    await peer.subscribe(1, 'flood')
    // Later than the first one, which has measured the connection.
    peer.socket.on('message', () => answer(100))
    let published = 0
    const publishAll = async () => {
      const publishers = await Promise.all(Array.from({ length: 30 }, () => Peer.open(url)))
      for (const publisher of [...publishers, ...publishers]) {
        publisher.send({ type: 'publish', seq: 0, topic: 'flood', data: TEXT.repeat(20) })
        await publisher.next('receipt')
        published++
      }
      for (const { socket } of publishers) socket.terminate()
      await expect.poll(() => ofType(peer, 'message').length).toBe(published)
    }
    // Ten times the limit beyond it would lose the connection. A busy machine sends more messages per check.
    for (let round = 0; round < 20 && ofType(peer, 'check').length <= 30; round++) await publishAll()
    expect(ofType(peer, 'check').length).toBeGreaterThan(30)
    expect(peer.socket.readyState).toBe(peer.socket.OPEN)
    expect(ofType(peer, 'error')).toEqual([])
  })

  it('gets what waits for it before a hub that shuts down closes', async () => {
    const { hub, url } = await hubs.start()
    const [silent, publisher] = [await hello(url), await Peer.hello(url)]
    await silent.subscribe(1, 'flood')
    const sent = 500
    for (let n = 0; n < sent; n++) {
      publisher.send({ type: 'publish', seq: n, topic: 'flood', data: { n, text: TEXT } })
      if (n % 50 === 49) await publisher.settled()
    }
    expect(ofType(silent, 'message').length).toBeLessThan(sent)
    await hub.close()
    expect(await silent.closed).toMatchObject({ code: 4000 })
    expect(ofType(silent, 'message').length).toBe(sent)
  })
})

function passed(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}
