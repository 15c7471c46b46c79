import { expect, it } from 'vitest'
import type { Frame } from '../../shared/frames.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { Peer } from '../setup/peer.ts'

const OUTBOX_BYTES = 512 * 1024
const TEXT = 'x'.repeat(4000)

/** What became of the numbered messages of one subscription, as the subscriber saw it. */
interface Account {
  readonly received: number[]
  readonly lost: number
  readonly reasons: Set<string>
}

onEveryEngine('outbox', (hubs) => {
  /** A subscriber stops reading, `count` messages are published, it reads again. */
  async function stalledReader(
    policy: string,
    count: number,
    key: (n: number) => string | undefined = () => undefined,
    text = TEXT,
  ) {
    const { hub, url } = await hubs.start({ outboxBytes: OUTBOX_BYTES, frameBytes: 64 * 1024 })
    const slow = await Peer.hello(url)
    await slow.subscribe(1, 'flood', { policy })
    const quick = await Peer.hello(url)
    await quick.subscribe(1, 'flood')
    slow.stall()
    const publisher = await Peer.hello(url)
    for (let n = 0; n < count; n++) {
      publisher.send({ type: 'publish', seq: n, topic: 'flood', data: { n, text }, key: key(n) })
      if (n % 100 === 99) await publisher.settled()
    }
    await publisher.settled()
    const quickSaw = account(await quick.settled())
    return { hub, slow, quickSaw }
  }

  // More than the kernel's buffers and the outbox take together.
  const COUNT = 4000

  it('drop-oldest keeps the newest, and reports in place what it dropped', async () => {
    const { slow, quickSaw } = await stalledReader('drop-oldest', COUNT)
    expect(quickSaw).toMatchObject({ received: range(COUNT), lost: 0 })
    slow.goOn()
    const { received, lost, reasons } = account(await slow.settled())
    expect(received.length + lost).toBe(COUNT)
    expect(lost).toBeGreaterThan(0)
    expect(received.at(-1)).toBe(COUNT - 1)
    expect([...reasons]).toEqual(['drop-oldest'])
  })

  it('drop-newest keeps the oldest', async () => {
    const { slow } = await stalledReader('drop-newest', COUNT)
    slow.goOn()
    const { received, lost, reasons } = account(await slow.settled())
    expect(received.length + lost).toBe(COUNT)
    // What fills the outbox stays; after it a single message may still fit where a chain of several did not.
    expect(received.slice(0, 1000)).toEqual(range(1000))
    expect(received.at(-1)).toBeLessThan(COUNT / 2)
    expect(lost).toBeGreaterThan(0)
    expect([...reasons]).toEqual(['drop-newest'])
  })

  it('conflate keeps the newest of each key, in order', async () => {
    const { slow } = await stalledReader('conflate', COUNT, (n) => `key-${n % 10}`)
    slow.goOn()
    const { received, lost } = account(await slow.settled())
    expect(received.length + lost).toBe(COUNT)
    expect(received.slice(-10)).toEqual(range(COUNT).slice(-10))
  })

  it('disconnect ends the connection with a close code that tells the client to reconnect', async () => {
    // In few large ones: a reader that does not answer the close is cut off after some seconds, on a slow machine, too.
    const { slow } = await stalledReader('disconnect', COUNT / 10, undefined, TEXT.repeat(10))
    slow.goOn()
    expect(await slow.closed).toMatchObject({ code: 4001 })
  })

  it('bounds the sum over all connections', async () => {
    const { hub, url } = await hubs.start({
      outboxBytes: OUTBOX_BYTES,
      outboxTotalBytes: 4 * OUTBOX_BYTES,
      frameBytes: 64 * 1024,
    })
    const slow = await Promise.all(range(20).map(() => Peer.hello(url)))
    await Promise.all(slow.map((peer) => peer.subscribe(1, 'flood')))
    for (const peer of slow) peer.stall()
    const publisher = await Peer.hello(url)
    for (let n = 0; n < 2000; n++) {
      publisher.send({ type: 'publish', seq: n, topic: 'flood', data: { n, text: TEXT } })
      if (n % 100 === 99) {
        await publisher.settled()
        expect(hub.outboxBytes).toBeLessThanOrEqual(4 * OUTBOX_BYTES)
      }
    }
    for (const peer of slow) peer.goOn()
    // Subscribers that were not disconnected can tell what became of every message.
    for (const peer of slow) {
      const frames = await peer.settled().catch(() => undefined)
      if (frames) expect(account(frames).received.length + account(frames).lost).toBe(2000)
      else expect(await peer.closed).toMatchObject({ code: 4003 })
    }
    expect(hub.outboxBytes).toBe(0)
  })

  it('holds for a paused subscription what its policy keeps, and reports the rest', async () => {
    const { url } = await hubs.start({ outboxBytes: OUTBOX_BYTES, frameBytes: 64 * 1024 })
    const peer = await Peer.hello(url)
    await peer.subscribe(1, 'flood')
    peer.send({ type: 'pause', sub: 1 })
    await peer.next('paused')
    const publisher = await Peer.hello(url)
    for (let n = 0; n < 200; n++) publisher.send({ type: 'publish', seq: n, topic: 'flood', data: { n, text: TEXT } })
    await publisher.settled()
    expect(await peer.settled()).toEqual([])
    peer.send({ type: 'resume', sub: 1 })
    const { received, lost } = account(await peer.settled())
    expect(received.length + lost).toBe(200)
    expect(received.at(-1)).toBe(199)
    expect(received.length * TEXT.length).toBeLessThan(OUTBOX_BYTES / 2)
    expect(lost).toBeGreaterThan(0)
  })
})

/** Adds up messages and gaps, and checks that every gap is in the place of its missing messages. */
function account(frames: readonly Frame[]): Account {
  const received: number[] = []
  const reasons = new Set<string>()
  let lost = 0
  let expected = 0
  for (const frame of frames) {
    if (frame.type === 'gap') {
      const count = frame.count ?? Number.NaN
      lost += count
      reasons.add(frame.reason)
      expected += count
    } else if (frame.type === 'message') {
      const { n } = frame.data as { n: number }
      expect(n, 'a message is out of its place').toBe(expected)
      expected = n + 1
      received.push(n)
    }
  }
  return { received, lost, reasons }
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n)
}
