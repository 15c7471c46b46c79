import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { createHub, type Hub } from '../../server/index.ts'
import type { Frame } from '../../shared/frames.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { Peer } from '../setup/peer.ts'

const TEXT = 'x'.repeat(4000)
/** More than the kernel's buffers take, less than the outbox holds. */
const COUNT = 2500
const OUTBOX = { outboxBytes: 16 * 1024 * 1024, frameBytes: 64 * 1024, drainTimeout: 20_000 }

onEveryEngine('shutdown', (hubs) => {
  async function flood(url: string): Promise<void> {
    const publisher = await Peer.hello(url)
    for (let seq = 0; seq < COUNT; seq++) {
      publisher.send({ type: 'publish', seq, topic: 'flood', data: { seq, text: TEXT } })
      if (seq % 100 === 99) await publisher.settled()
    }
  }

  it('a reader that was behind gets everything published before, then the close', async () => {
    const { hub, url } = await hubs.start(OUTBOX)
    const slow = await Peer.hello(url)
    await slow.subscribe(1, 'flood')
    slow.stall()
    await flood(url)
    expect(hub.outboxBytes).toBeGreaterThan(1024 * 1024)
    const closing = hub.close()
    slow.goOn()
    expect(await slow.closed).toMatchObject({ code: 4000 })
    expect(messages(slow.frames)).toEqual(Array.from({ length: COUNT }, (_, seq) => seq))
    expect(slow.frames.at(-1)).toMatchObject({ type: 'error', code: 'shutting_down', retry: true })
    await closing
    expect(hub.outboxBytes).toBe(0)
  })

  it.each([2 ** 31, 2 ** 32])('a drain may take %i ms', async (drainTimeout) => {
    const { hub, url } = await hubs.start({ ...OUTBOX, drainTimeout })
    const slow = await Peer.hello(url)
    await slow.subscribe(1, 'flood')
    slow.stall()
    await flood(url)
    const closing = hub.close()
    slow.goOn()
    expect(await slow.closed).toMatchObject({ code: 4000 })
    expect(messages(slow.frames)).toEqual(Array.from({ length: COUNT }, (_, seq) => seq))
    await closing
  })

  it('what a paused subscription holds is sent, too', async () => {
    const { hub, url } = await hubs.start(OUTBOX)
    const peer = await Peer.hello(url)
    await peer.subscribe(1, 'flood')
    peer.send({ type: 'pause', sub: 1 })
    await peer.next('paused')
    const publisher = await Peer.hello(url)
    for (const seq of [0, 1, 2]) publisher.send({ type: 'publish', seq, topic: 'flood', data: { seq } })
    await publisher.settled()
    expect(messages(await peer.settled())).toEqual([])
    await hub.close()
    expect(await peer.closed).toMatchObject({ code: 4000 })
    expect(messages(peer.frames)).toEqual([0, 1, 2])
  })

  it('every close() waits for the end, and then the data directory is free', async () => {
    const data = mkdtempSync(join(tmpdir(), 'fanfare-close-'))
    onTestFinished(() => rmSync(data, { recursive: true, force: true }))
    const { hub, url } = await hubs.start({ ...OUTBOX, data })
    const slow = await Peer.hello(url)
    await slow.subscribe(1, 'flood')
    slow.stall()
    await flood(url)
    const first = hub.close()
    const ended: string[] = []
    const both = [first.then(() => ended.push('first')), hub.close().then(() => ended.push('second'))]
    await settled(hub)
    expect(ended).toEqual([])
    slow.goOn()
    await Promise.all(both)
    const next = await hubs.start({ data })
    await next.hub.close()
    await hub.close()
  })

  it('a close() during the start: the start is refused, and everything is released', async () => {
    const data = mkdtempSync(join(tmpdir(), 'fanfare-close-'))
    onTestFinished(() => rmSync(data, { recursive: true, force: true }))
    const hub = await createHub({ data })
    const server = createServer()
    const attached = hub.attach(server)
    await Promise.all([expect(attached).rejects.toMatchObject({ code: 'shutting_down' }), hub.close(), hub.close()])
    expect(server.listenerCount('upgrade')).toBe(0)
    const next = await hubs.start({ data })
    await next.hub.close()
  })

  it('a refused start leaves nothing behind', async () => {
    const data = mkdtempSync(join(tmpdir(), 'fanfare-close-'))
    onTestFinished(() => rmSync(data, { recursive: true, force: true }))
    const { hub } = await hubs.start()
    const { port } = hub
    const before = held()
    await expect(hubs.start({ data, port })).rejects.toMatchObject({ code: 'port_in_use' })
    await expect(hubs.start({ data, queues: [{ name: 'q' }, { name: 'q' }] })).rejects.toMatchObject({
      code: 'bad_config',
    })
    await expect(hubs.start({ data, host: '0.0.0.0' })).rejects.toMatchObject({ code: 'bad_config' })
    await expect.poll(() => beyond(before, held())).toEqual([])
    const next = await hubs.start({ data })
    await next.hub.close()
  })

  it('a stalled reader is cut off after the drain timeout', async () => {
    const { hub, url } = await hubs.start({ ...OUTBOX, drainTimeout: 200 })
    const slow = await Peer.hello(url)
    await slow.subscribe(1, 'flood')
    slow.stall()
    await flood(url)
    // Far below the five seconds that an engine gives a close frame, and the test's own limit: a hang fails.
    await hub.close()
    await expect.poll(() => hub.connectionCount).toBe(0)
    slow.socket.terminate()
  })

  it('reports on /readyz whether it accepts connections', async () => {
    const { hub, http, url } = await hubs.start(OUTBOX)
    const status = async (path: string) => (await fetch(`${http}${path}`)).status
    expect([await status('/healthz'), await status('/readyz')]).toEqual([200, 200])
    const slow = await Peer.hello(url)
    await slow.subscribe(1, 'flood')
    slow.stall()
    await flood(url)
    const closing = hub.close()
    // The port accepts no new connections by now; an embedder's server does.
    expect((await hub.fetch(new Request('http://hub/healthz'))).status).toBe(200)
    expect((await hub.fetch(new Request('http://hub/readyz'))).status).toBe(503)
    slow.goOn()
    await closing
  })
})

it('a hub attached to another http server leaves it its routes and its port', async () => {
  const hub = await createHub({ path: '/live', drainTimeout: 1000 })
  const server = createServer(async (request, response) => {
    if (request.url === '/mine') response.end('my own')
    else {
      const answer = await hub.fetch(new Request(`http://hub${request.url}`))
      response.writeHead(answer.status).end(await answer.text())
    }
  })
  await hub.attach(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const status = async (path: string) => (await fetch(`http://${address}${path}`)).status

  const peer = await Peer.hello(`ws://${address}/live`)
  await peer.subscribe(1, 'a')
  peer.send({ type: 'publish', seq: 1, topic: 'a', data: 1 })
  expect(await peer.next('message')).toMatchObject({ topic: 'a', data: 1 })
  expect(await (await fetch(`http://${address}/mine`)).text()).toBe('my own')
  expect(await status('/readyz')).toBe(200)
  await expect(Peer.open(`ws://${address}/elsewhere`)).rejects.toThrow('404')

  await hub.close()
  expect(await peer.closed).toMatchObject({ code: 4000 })
  expect(await status('/readyz')).toBe(503)
  expect(await (await fetch(`http://${address}/mine`)).text()).toBe('my own')
  await expect(Peer.open(`ws://${address}/live`)).rejects.toThrow('503')
  server.close()
  server.closeAllConnections()
})

function messages(frames: readonly Frame[]): number[] {
  return frames.flatMap((frame) => (frame.type === 'message' ? [(frame.data as { seq: number }).seq] : []))
}

/** Everything that a close does without waiting for a peer is done. */
async function settled(hub: Hub): Promise<void> {
  for (let at = 0; at < 5; at++) await hub.fetch(new Request('http://hub/healthz'))
}

/** What the process holds, except for what ends by itself or with the next garbage collection. */
function held(): string[] {
  const passing = ['Immediate', 'Timeout', 'IntervalHistogram']
  return process.getActiveResourcesInfo().filter((name) => !passing.includes(name))
}

function beyond(before: readonly string[], now: readonly string[]): string[] {
  const left = [...before]
  return now.filter((name) => !left.includes(name) || left.splice(left.indexOf(name), 1).length === 0)
}
