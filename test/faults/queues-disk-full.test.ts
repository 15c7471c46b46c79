import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { type Client, connect, type Delivery, type FanfareError } from '../../client/node.ts'
import { configFile, HubProcess } from '../setup/hub-process.ts'
import { Peer } from '../setup/peer.ts'
import { smallDisk } from '../setup/small-disk.ts'

const disk = await smallDisk(16)
if (!disk)
  process.stdout.write(
    'The disk-full test of queues is skipped: it mounts a small tmpfs, and this user may not mount.\n',
  )

describe.skipIf(!disk)('a queue on a full disk', () => {
  const folder = disk?.path as string
  const filler = join(folder, 'filler')
  const waiting: number[] = []
  let delayed = 0
  let next = 0
  let hub: HubProcess
  let client: Client
  let deliveries: AsyncIterator<Delivery>

  afterAll(async () => {
    await client?.close()
    await hub?.kill()
    await disk?.remove()
  })

  async function start(): Promise<void> {
    const streams = [{ name: 'done', topics: ['done'] }]
    const config = await configFile(join(folder, 'config.json'), streams, [{ name: 'jobs' }])
    hub = await HubProcess.start({ data: join(folder, 'data'), config })
    client = connect(hub.url)
  }

  /** Publishes this many at once; returns the codes of those that were refused, and records the others. */
  async function publish(count: number, bytes = 20_000): Promise<string[]> {
    const padding = 'x'.repeat(bytes)
    const publishes = Array.from({ length: count }, (_, n) => client.enqueue('jobs', { n: next + n, padding }))
    const codes: string[] = []
    for (const [n, result] of (await Promise.allSettled(publishes)).entries()) {
      if (result.status === 'fulfilled') waiting.push(next + n)
      else codes.push(result.reason.code)
    }
    next += count
    return codes
  }

  /** Up to the last page: a large commit may find no room where a small one does. */
  async function fill(): Promise<Set<string>> {
    const refusals = new Set<string>()
    for (const [count, bytes] of [
      [20, 20_000],
      [1, 20_000],
      [1, 2_000],
      [1, 1],
    ] as const) {
      for (let codes: string[] = []; codes.length === 0; ) {
        codes = await publish(count, bytes)
        for (const code of codes) refusals.add(code)
      }
    }
    return refusals
  }

  function consume(): void {
    deliveries = client.consume('jobs', { prefetch: 1 })[Symbol.asyncIterator]()
  }

  async function delivery(): Promise<Delivery<{ n: number }>> {
    return (await deliveries.next()).value
  }

  it('refuses what it cannot keep', async () => {
    await writeFile(filler, Buffer.alloc(8 * 1024 * 1024))
    await start()
    expect(await fill()).toEqual(new Set(['storage_full']))
    expect(waiting.length).toBeGreaterThan(20)
    expect(await client.admin.queues.show('jobs')).toMatchObject({ depth: waiting.length })
  })

  it('takes acks, failures and rejects', async () => {
    consume()
    const acked = await delivery()
    expect(acked.data.n).toBe(waiting.shift())
    await acked.ack()
    const failed = await delivery()
    expect(failed.data.n).toBe(waiting[0])
    await failed.nack({ error: 'not now', delay: 0 })
    const again = await delivery()
    expect(again).toMatchObject({ data: { n: waiting.shift() }, attempt: 2, lastError: 'not now' })
    await again.reject('never')
    expect(await client.admin.queues.deadLetters.list('jobs')).toMatchObject([
      { message: { data: { n: again.data.n } } },
    ])
  })

  it('refuses an ack that publishes more than there is room for, and the delivery is still held', async () => {
    await fill()
    const held = await delivery()
    const publish = [{ topic: 'done', data: 'x'.repeat(200_000) }]
    await expect(held.ack({ publish })).rejects.toMatchObject({ code: 'storage_full' })
    expect((await client.admin.streams.show('done')).next).toBe(0)
    await held.nack({ error: 'no room', delay: 0 })
    const again = await delivery()
    expect(again).toMatchObject({ data: { n: waiting.shift() }, attempt: 2, lastError: 'no room' })
    await again.ack()
  })

  it('refuses failures before they take the room that acks need', async () => {
    let refused: string | undefined
    while (refused === undefined) {
      const each = await delivery()
      const error = 'wrong'.repeat(2000)
      refused = await each.nack({ error, delay: 3_600_000 }).then(
        () => undefined,
        ({ code }: FanfareError) => code,
      )
      waiting.splice(waiting.indexOf(each.data.n), 1)
      if (refused === undefined) delayed++
      else await each.ack()
    }
    expect(refused).toBe('storage_full')
    expect(delayed).toBeGreaterThan(10)
    const { depth, inFlight } = await client.admin.queues.show('jobs')
    expect(depth + inFlight).toBe(waiting.length + delayed)
  })

  it('goes on when another process has taken the very last byte', async () => {
    const rest = join(folder, 'rest')
    await expect(writeFile(rest, Buffer.alloc(16 * 1024 * 1024))).rejects.toMatchObject({ code: 'ENOSPC' })
    const inFlight = async () => (await client.admin.queues.show('jobs')).inFlight
    const peer = await Peer.hello(hub.url)
    peer.send({ type: 'consume', consumer: 1, queue: 'jobs', prefetch: 3 })
    const leased = [await peer.next('delivery'), await peer.next('delivery'), await peer.next('delivery')]
    peer.socket.terminate()
    // There is no room to count that as a failure, and they come again nevertheless. One waits for `delivery`.
    await expect.poll(inFlight).toBe(1)
    const acked = await delivery()
    await acked.ack()
    waiting.splice(waiting.indexOf(acked.data.n), 1)
    const next = await delivery()
    expect(next.id).toBe(leased[0]?.message.id)
    await next.ack()
    waiting.splice(waiting.indexOf(next.data.n), 1)
    await rm(rest)
  })

  it('starts on the full disk, and has everything', async () => {
    await hub.kill()
    await client.close()
    await start()
    expect(await client.admin.queues.show('jobs')).toMatchObject({ depth: waiting.length + delayed, deadLetters: 1 })
    expect(await fill()).toEqual(new Set(['storage_full']))
  })

  it('has room again when messages are done, each of which was stored', async () => {
    consume()
    const done: number[] = []
    while (done.length < waiting.length) {
      const each = await delivery()
      done.push(each.data.n)
      await each.ack()
    }
    expect(done).toEqual(waiting.splice(0))
    // One by one: many at once may need more of the disk than there is outside of the file.
    for (let n = 0; n < 20; n++) expect(await publish(1)).toEqual([])
    expect((await delivery()).data.n).toBe(waiting[0])
  })
})
