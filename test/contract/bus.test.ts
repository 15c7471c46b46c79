import { expect, it } from 'vitest'
import { RawJson } from '../../shared/raw-json.ts'
import { type BusUnderTest, liveMessage, onEveryBus, onEveryJoiningBus } from '../setup/buses.ts'
import { range } from '../setup/streams.ts'

type Two = [BusUnderTest, BusUnderTest]

onEveryBus('a bus', (buses) => {
  it('has a node of its own, and reports nothing of what this node does', async () => {
    const [{ bus, seen }] = (await buses.open(1)) as [BusUnderTest]
    expect(bus.node).toEqual({ id: expect.stringMatching(/./), name: expect.stringMatching(/./) })
    await bus.subscribe(['a', '#'])
    bus.publish(liveMessage('a.b'))
    expect(await bus.ask('nobody', 'anything', {}, 1000)).toBeUndefined()
    bus.unsubscribe(['a', '#'])
    await bus.close()
    expect(seen).toMatchObject({ log: [], received: [] })
  })

  it('confirms an interest at once while no other node is there', async () => {
    const [{ bus }] = (await buses.open(1)) as [BusUnderTest]
    expect(bus.subscribe(['a'])).toBeUndefined()
    expect(bus.subscribe(['a'])).toBeUndefined()
  })
})

onEveryJoiningBus('buses that are joined', (buses) => {
  it('know each other, each node by another id', async () => {
    const all = await buses.open(3)
    const ids = all.map(({ bus }) => bus.node.id)
    expect(new Set(ids).size).toBe(3)
    for (const { bus, seen } of all) {
      await seen.until(() => seen.nodes.size === 2)
      expect([...seen.nodes.keys()].sort()).toEqual(ids.filter((id) => id !== bus.node.id).sort())
    }
  })

  it('carry a message as it is to nodes with an interest that stands, and to no others', async () => {
    const [a, b, c] = (await buses.open(3)) as [BusUnderTest, BusUnderTest, BusUnderTest]
    await b.bus.subscribe(['a', '*'])
    const message = { id: '1', topic: 'a.b', key: 'kö', headers: { h: 'x€' }, expiresAt: 9e12 }
    const texts = ['9007199254740993', '"é"', '"€ 😀"', `"${'x'.repeat(70_000)}"`, `"${'é'.repeat(300_000)}"`].map(
      (data) => `{"type":"message","id":"1","topic":"a.b","data":${data}}`,
    )
    const record = new Uint8Array([0, 1, 2, 127, 128, 255])
    const wires = [
      ...texts.map((text) => ({ text, record: undefined, bytes: Buffer.byteLength(text) })),
      { text: undefined, record, bytes: record.length },
    ]
    for (const wire of wires) a.bus.publish({ ...message, wire })
    a.bus.publish(liveMessage('b.b'))
    await c.bus.subscribe(['last'])
    a.bus.publish(liveMessage('last'))
    await b.seen.until(() => b.seen.received.length === wires.length)
    expect(b.seen.received).toEqual(wires.map((wire) => ({ ...message, wire })))
    await c.seen.until(() => c.seen.received.length > 0)
    expect(c.seen.topics).toEqual(['last'])
    expect(b.seen.topics).toEqual(wires.map(() => 'a.b'))
    expect(a.seen.received).toEqual([])
  })

  it('keep the order of each publisher over all topics, and give each message once', async () => {
    const [a, b, c] = (await buses.open(3)) as [BusUnderTest, BusUnderTest, BusUnderTest]
    // Both match.
    await Promise.all([c.bus.subscribe(['#']), c.bus.subscribe(['n', '*'])])
    for (const n of range(0, 500)) {
      a.bus.publish(liveMessage(`n.a${n % 7}`, n, `a ${n}`))
      b.bus.publish(liveMessage(`n.b${n % 5}`, n, `b ${n}`))
      if (n % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await c.seen.until(() => c.seen.received.length >= 1000)
    const ids = c.seen.received.map(({ id }) => id)
    expect(ids).toHaveLength(1000)
    for (const from of ['a', 'b']) {
      expect(ids.filter((id) => id.startsWith(from))).toEqual(range(0, 500).map((n) => `${from} ${n}`))
    }
  })

  it('count interests: one lasts until it has ended as often as it was taken', async () => {
    const [a, b] = (await buses.open(2)) as Two
    await Promise.all([b.bus.subscribe(['a']), b.bus.subscribe(['a']), b.bus.subscribe(['end'])])
    b.bus.unsubscribe(['a'])
    a.bus.publish(liveMessage('a', 1))
    a.bus.publish(liveMessage('end', 1))
    await b.seen.until(() => b.seen.topics.includes('end'))
    expect(b.seen.topics).toEqual(['a', 'end'])
    b.bus.unsubscribe(['a'])
    await b.bus.subscribe(['later'])
    a.bus.publish(liveMessage('a', 2))
    a.bus.publish(liveMessage('later', 2))
    await b.seen.until(() => b.seen.topics.includes('later'))
    expect(b.seen.topics).toEqual(['a', 'end', 'later'])
  })

  it('ask another node, with JSON, raw JSON and bytes both ways, in order', async () => {
    const [a, b] = (await buses.open(2)) as Two
    b.seen.answer = async (question, params, from) => ({ question, from, params })
    const params = {
      n: 1,
      list: [true, null, 'x'],
      raw: new RawJson('9007199254740993'),
      bytes: new Uint8Array([1, 255]),
    }
    const answer = await a.bus.ask(b.bus.node.id, 'echo', params, 5000)
    expect(answer).toEqual({ question: 'echo', from: a.bus.node.id, params })
    const asked: unknown[] = []
    b.seen.answer = async (_, n) => asked.push(n)
    await Promise.all(range(0, 50).map((n) => a.bus.ask(b.bus.node.id, 'n', n, 5000)))
    expect(asked).toEqual(range(0, 50))
  })

  it('have no answer from a node that fails, takes too long, has left or leaves meanwhile', async () => {
    const [a, b] = (await buses.open(2)) as Two
    b.seen.answer = async () => {
      throw new Error('a bug')
    }
    expect(await a.bus.ask(b.bus.node.id, 'fails', {}, 5000)).toBeUndefined()
    let asked = () => {}
    const begun = new Promise<void>((resolve) => {
      asked = resolve
    })
    b.seen.answer = () => {
      asked()
      return new Promise(() => {})
    }
    expect(await a.bus.ask(b.bus.node.id, 'hangs', {}, 20)).toBeUndefined()
    const hanging = a.bus.ask(b.bus.node.id, 'hangs', {}, 600_000)
    await begun
    await b.bus.close()
    expect(await hanging).toBeUndefined()
    await a.seen.until(() => a.seen.nodes.size === 0)
    expect(await a.bus.ask(b.bus.node.id, 'gone', {}, 600_000)).toBeUndefined()
  })

  it('report what a node may have missed while it was cut off, and nothing else', async () => {
    const [a, b] = (await buses.open(2)) as Two
    await Promise.all([b.bus.subscribe(['news', '#']), b.bus.subscribe(['quiet'])])
    b.cut()
    await Promise.all([a, b].map(({ seen }) => seen.until(() => seen.nodes.size === 0)))
    expect(b.bus.subscribe(['new'])).toBeUndefined()
    a.bus.publish(liveMessage('news.a', 'lost'))
    await new Promise((resolve) => setImmediate(resolve))
    b.heal()
    await b.seen.until(() => b.seen.nodes.size === 1)
    expect(b.seen.log.slice(-3)).toEqual([`left ${a.bus.node.id}`, 'missed', `joined ${a.bus.node.id}`])
    expect(['news.#', 'quiet'].map((pattern) => b.seen.hasMissed(pattern))).toEqual([true, false])
    expect(a.seen.log).not.toContain('missed')
    expect([a, b].map(({ bus }) => bus.reconnections)).toEqual([0, 1])
    a.bus.publish(liveMessage('news.b', 'heard'))
    a.bus.publish(liveMessage('new', 'heard'))
    await b.seen.until(() => b.seen.received.length === 2)
    expect(b.seen.topics).toEqual(['news.b', 'new'])
  })
})
