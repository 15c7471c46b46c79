import { expect, it } from 'vitest'
import type { HubOptions } from '../../server/index.ts'
import { encodeRecord } from '../../shared/codec.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { Peer } from '../setup/peer.ts'

const MIB = 1024 * 1024
const LARGE_FRAMES = { frameBytes: 8 * MIB, outboxBytes: 16 * MIB, outboxTotalBytes: 64 * MIB }
/** Held frames may exceed this total, and must be less than what one connection may hold. */
const LITTLE = { frameBytes: MIB / 8, outboxBytes: MIB / 4, outboxTotalBytes: MIB }
/** They are refused, mostly without a response, and take many times as long as one turn of the event loop has for frames. */
const FRAMES = 30_000
const REFUSED = {
  type: 'welcome',
  protocol: '',
  connection: '',
  window: 1,
  pingIntervalMs: 1,
  limits: { frameBytes: 1, subscriptions: 1 },
}
const REFUSED_FRAMES: object[] = Array(FRAMES).fill(REFUSED)

onEveryEngine('frames that take long', (hubs) => {
  async function begin(
    options: HubOptions = LARGE_FRAMES,
  ): Promise<{ hostile: Peer; witness: Peer; connection: string; outboxBytes: () => number }> {
    const { hub, url } = await hubs.start(options)
    const hostile = await Peer.open(url)
    hostile.send({ type: 'hello' })
    const { connection } = await hostile.next('welcome')
    const witness = await Peer.hello(url)
    await witness.subscribe(1, 'seen')
    return { hostile, witness, connection, outboxBytes: () => hub.outboxBytes }
  }

  function saying(data: string): object {
    return { type: 'publish', seq: 1, topic: 'seen', data }
  }

  async function seen(witness: Peer, count: number): Promise<unknown[]> {
    const all: unknown[] = []
    while (all.length < count) all.push((await witness.next('message')).data)
    return all
  }

  it('are handled in slices: another client is served between two frames of one message', async () => {
    const { hostile, witness } = await begin()
    hostile.send(saying('first'), ...REFUSED_FRAMES, saying('last'))
    expect(await seen(witness, 1)).toEqual(['first'])
    witness.send(saying('between'))
    expect(await seen(witness, 2)).toEqual(['between', 'last'])
  })

  it('are handled in order, and so are the frames after them', async () => {
    const { hostile, witness } = await begin()
    const expected = Array.from({ length: 50 }, (_, n) => String(n))
    hostile.send(...REFUSED_FRAMES, saying('0'))
    for (const data of expected.slice(1)) hostile.send(saying(data), REFUSED)
    expect(await seen(witness, expected.length)).toEqual(expected)
  })

  it('keep their bytes until they are handled', async () => {
    const { hostile, witness } = await begin()
    const bytes = Buffer.from(Array.from({ length: 1000 }, (_, at) => at % 256))
    const refused = encodeRecord(JSON.stringify(REFUSED), new Uint8Array())
    const records = [0, 1, 2].map((seq) => encodeRecord(`{"type":"publish","seq":${seq},"topic":"seen"}`, bytes))
    hostile.socket.send(Buffer.concat([...Array(FRAMES).fill(refused), ...records]))
    for (const record of records) hostile.socket.send(record)
    expect(await seen(witness, 6)).toEqual(Array(6).fill(bytes))
  })

  it('are discarded when their connection ends', async () => {
    const { hostile, witness, connection, outboxBytes } = await begin()
    hostile.send(saying('first'), ...REFUSED_FRAMES, saying('last'))
    expect(await seen(witness, 1)).toEqual(['first'])
    witness.send({ type: 'call', seq: 1, method: 'connections.disconnect', params: { connection } })
    expect((await hostile.closed).code).toBe(4004)
    witness.send(saying('end'))
    expect(await seen(witness, 1)).toEqual(['end'])
    expect(outboxBytes()).toBe(0)
  })

  it('hold no more than outboxTotalBytes, with everything that arrives meanwhile', async () => {
    const { hostile, witness, outboxBytes } = await begin(LITTLE)
    for (let n = 0; n < 20; n++) hostile.send(...REFUSED_FRAMES.slice(0, 800))
    const large = { type: 'publish', seq: 1, topic: 'elsewhere', data: 'x'.repeat(60_000) }
    for (let n = 0; n < 200; n++) hostile.send(large)
    hostile.send(saying('last'))
    let most = 0
    const ended = Promise.race([hostile.closed, seen(witness, 1)])
    let over = false
    void ended.then(() => {
      over = true
    })
    while (!over) {
      most = Math.max(most, outboxBytes())
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(most).toBeLessThanOrEqual(LITTLE.outboxTotalBytes)
    // An engine that cannot stop reading has to close it.
    if (hubs.engine === 'uws') expect(await ended).toMatchObject({ code: 4003 })
    else expect(await ended).toEqual(['last'])
  })
})
