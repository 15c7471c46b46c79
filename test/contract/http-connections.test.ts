import { networkInterfaces } from 'node:os'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { cpuTime } from '../setup/cpu-time.ts'
import { parseExposition } from '../setup/exposition.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { Peer } from '../setup/peer.ts'
import { ask, RawHttp } from '../setup/raw-http.ts'

const HEALTH = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
const SLOW_BODY = 'POST /v1/topics/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n'
/** An address of this machine that is not loopback. */
const OUTSIDE = Object.values(networkInterfaces())
  .flat()
  .find((found) => found && !found.internal && found.family === 'IPv4')?.address

async function hitsOf(http: string, limit: string): Promise<number> {
  const family = parseExposition(await (await fetch(`${http}/metrics`)).text()).get('fanfare_limit_hits_total')
  return family?.samples.find(({ labels }) => labels['limit'] === limit)?.value ?? 0
}

/** Connections that have sent `bytes`, one after the other. */
async function open(count: number, port: number, bytes: string, host = '127.0.0.1'): Promise<RawHttp[]> {
  const opened: RawHttp[] = []
  for (let n = 0; n < count; n++) {
    const raw = await RawHttp.open(port, { host })
    raw.socket.write(bytes)
    opened.push(raw)
  }
  return opened
}

const stillOpen = (raws: readonly RawHttp[]) => raws.filter(({ socket }) => !socket.destroyed).length

onEveryEngine('HTTP connections', (hubs) => {
  it('beyond maxConnections: slow ones are closed to make room for others', async () => {
    const { hub, url, http } = await hubs.start({ maxConnections: 4 })
    const peer = await Peer.hello(url)
    const slow = await open(12, hub.port, SLOW_BODY)
    await expect.poll(() => stillOpen(slow)).toBeLessThanOrEqual(4)
    expect((await ask(hub.port, HEALTH)).status).toContain(' 200')
    expect(await hitsOf(http, 'maxConnections')).toBeGreaterThanOrEqual(8)
    // The WebSocket is not one of them.
    expect(await peer.settled()).toEqual([])
    for (const { socket } of slow) socket.destroy()
    peer.socket.terminate()
  })

  it.skipIf(OUTSIDE === undefined)('beyond connectionsPerAddress: those of the address make room', async () => {
    const auth = { anonymous: 'allow' } as const
    const { hub, http } = await hubs.start({ host: '0.0.0.0', connectionsPerAddress: 3, auth })
    const [own, outside] = [await open(6, hub.port, SLOW_BODY), await open(12, hub.port, SLOW_BODY, OUTSIDE)]
    await expect.poll(() => stillOpen(outside)).toBeLessThanOrEqual(3)
    expect(stillOpen(own)).toBe(6)
    expect((await ask(hub.port, HEALTH)).status).toContain(' 200')
    expect((await fetch(`http://${OUTSIDE}:${hub.port}/healthz`)).status).toBe(200)
    expect(await fetch(`${http}/healthz`)).toMatchObject({ status: 200 })
    for (const { socket } of [...own, ...outside]) socket.destroy()
  })

  it('requests that one connection sends at once do not hold up others', async () => {
    const { hub, url } = await hubs.start()
    const peer = await Peer.hello(url)
    const raw = await RawHttp.open(hub.port)
    raw.socket.write('GET /v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(500))
    // Generating the document for each request took five seconds.
    expect(await cpuTime(() => peer.settled())).toBeLessThan(1500)
    // Those beyond the limit cost it the connection.
    await raw.closed
    expect((await ask(hub.port, HEALTH)).status).toContain(' 200')
    peer.socket.terminate()
  })

  it('requests up to the limit are answered, in order', async () => {
    const { hub } = await hubs.start()
    const raw = await RawHttp.open(hub.port)
    const paths = ['/healthz', '/nowhere', '/readyz', '/v1/queues']
    raw.socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`).join(''))
    const statuses = () => [...raw.text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)
    await raw.until(() => statuses().length === paths.length)
    expect(statuses()).toEqual(['200', '404', '200', '200'])
    raw.socket.destroy()
  })

  it('end when the hub closes', async () => {
    const { hub } = await hubs.start()
    const raws = [
      ...(await open(1, hub.port, '')),
      ...(await open(1, hub.port, 'GET /heal')),
      ...(await open(1, hub.port, SLOW_BODY)),
      ...(await open(1, hub.port, HEALTH.replace('close', 'keep-alive'))),
    ]
    await raws[3]?.until(() => raws[3]?.text.includes('ok') === true)
    await hub.close()
    const ended = Promise.all(raws.map(({ closed }) => closed)).then(() => 'ended')
    expect(await Promise.race([ended, wait(20_000, 'still open')])).toBe('ended')
  })
})
