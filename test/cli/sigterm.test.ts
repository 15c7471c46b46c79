import { describe, expect, it } from 'vitest'
import { type Client, connect } from '../../client/node.ts'
import { serve } from '../setup/command.ts'
import { ENGINES } from '../setup/engines.ts'
import { freePort } from '../setup/free-port.ts'
import { Peer } from '../setup/peer.ts'

describe.each(ENGINES)('SIGTERM on %s', (engine) => {
  it('drains with publishes in flight, and clients come back to the next hub', async () => {
    const port = String(await freePort())
    const first = await serve(['--port', port, '--engine', engine])
    const peer = await Peer.hello(first.url)
    await peer.subscribe(1, 'n')
    const subscriber = connect(first.url, { backoff: { base: 20, cap: 50 } })
    const seen: unknown[] = []
    await subscriber.subscribe('n', ({ data }) => void seen.push(data), { onGap: ({ reason }) => seen.push(reason) })
      .ready
    const publisher = connect(first.url, { backoff: { base: 20, cap: 50 } })
    const acknowledged = await publishUntilLost(publisher, (count) => {
      if (count === 1000) first.command.signal('SIGTERM')
    })

    expect(await peer.closed).toMatchObject({ code: 4000 })
    expect(await first.command.exit).toBe(0)
    const got = new Set(peer.frames.flatMap((frame) => (frame.type === 'message' ? [frame.data] : [])))
    expect(acknowledged.length).toBeGreaterThanOrEqual(1000)
    expect(acknowledged.filter((n) => !got.has(n))).toEqual([])
    await expect.poll(() => seen).toEqual([...got])

    await serve(['--port', port, '--engine', engine])
    await expect.poll(() => seen).toContain('disconnected')
    await publisher.publish('n', 'again')
    await expect.poll(() => seen.at(-1)).toBe('again')
    await Promise.all([subscriber.close(), publisher.close()])
  })

  it('is not held up by a reader that has stalled', async () => {
    const { command, url } = await serve(['--engine', engine, '--drain-timeout', '300'])
    const stalled = await Peer.hello(url)
    await stalled.subscribe(1, 'flood')
    stalled.stall()
    const publisher = connect(url)
    // More than the kernel's buffers take.
    const text = 'x'.repeat(100_000)
    await Promise.all(Array.from({ length: 100 }, () => publisher.publish('flood', text)))
    command.signal('SIGTERM')
    expect(await command.exit).toBe(0)
    expect(command.stderr).toContain('connections still open after the drain timeout')
    stalled.socket.terminate()
    await publisher.close()
  })
})

/** Publishes numbers without waiting for receipts, until the connection is lost. Returns those acknowledged by then. */
async function publishUntilLost(client: Client, onReceipt: (count: number) => void) {
  const acknowledged: number[] = []
  const lost = new Promise<void>((resolve) => {
    client.onState(({ to }) => to === 'waiting' && resolve())
  })
  let isLost = false
  void lost.then(() => {
    isLost = true
  })
  const underWay = new Set<Promise<void>>()
  for (let n = 0; !isLost; n++) {
    const one = client
      .publish('n', n)
      .then(
        () => onReceipt(acknowledged.push(n)),
        // Sent without an answer: the next hub keeps nothing of this topic, and says so.
        (error) => expect(error).toMatchObject({ code: 'connection_lost' }),
      )
      .finally(() => underWay.delete(one))
    underWay.add(one)
    if (underWay.size >= 200) await Promise.race([lost, ...underWay])
  }
  return [...acknowledged]
}
