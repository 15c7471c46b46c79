import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { symlinkSync } from 'node:fs'
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import { type AddressInfo, type Socket, connect as tcp } from 'node:net'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type ConnectionStateChange, connect } from '../../client/node.ts'
import { createHub, type Hub, type HubOptions, startHub } from '../../server/index.ts'
import { ENGINES } from '../setup/engines.ts'
import { parseExposition } from '../setup/exposition.ts'
import { freePort } from '../setup/free-port.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { Peer } from '../setup/peer.ts'
import { Reader } from '../setup/reader.ts'
import { get, handshake, makePair, type Pair, PairFiles, secured, trusting } from '../setup/tls.ts'

const first = makePair('first')
const second = makePair('second', 60)
const both = [first, second]
/** A busy machine takes its time. */
const EXPIRY = 'fanfare_tls_certificate_expires_timestamp_seconds'

function client<Data = unknown>(port: number) {
  const connected = connect<{ t: Data }>(`wss://127.0.0.1:${port}/`, { WebSocket: trusting(...both) })
  onTestFinished(async () => void (await connected.close()))
  return connected
}

onEveryEngine('TLS', (hubs) => {
  async function start(options: object = {}) {
    const files = new PairFiles(first)
    const { hub } = await hubs.start({ tls: files.tls, ...options })
    return { hub, files, port: hub.port }
  }

  it('serves WebSocket and HTTP over TLS 1.2 and 1.3, and nothing older', async () => {
    const { port } = await start({ auth: { anonymous: 'allow' } })
    const reader = new Reader(client<string>(port).subscribe('t'))
    const publisher = client(port)
    await publisher.publish('t', 'a')
    await publisher.publish('t', 'b'.repeat(200_000))
    expect((await reader.data(2)).map((text) => text.length)).toEqual([1, 200_000])
    expect((await get(port, '/healthz', both)).status).toBe(200)
    expect(await handshake(port)).toEqual(['first', 'TLSv1.3'])
    expect(await handshake(port, { maxVersion: 'TLSv1.2' })).toEqual(['first', 'TLSv1.2'])
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' } as const
    await expect(handshake(port, old)).rejects.toThrow('alert protocol version')
  })

  it('tells browsers to stay with TLS, but not for a name that all servers of a machine share', async () => {
    const { port } = await start({ auth: { anonymous: 'allow' } })
    const ask = (host: string, origin: string) => get(port, '/v1/queues', both, { host, origin })
    const { status, headers } = await ask('hub.example', 'https://hub.example')
    expect([status, headers['strict-transport-security']]).toEqual([200, 'max-age=31536000'])
    expect((await ask('localhost:1', 'https://localhost:1')).headers['strict-transport-security']).toBeUndefined()
    // Its own host, but over a connection that anyone could have written to.
    expect((await ask('hub.example', 'http://hub.example')).status).toBe(403)
    const upgraded = (origin: string) =>
      Peer.open(`wss://127.0.0.1:${port}/`, undefined, { host: 'hub.example', origin }, false, first.cert)
    await expect(upgraded('http://hub.example')).rejects.toThrow('403')
    ;(await upgraded('https://hub.example')).socket.terminate()
  })

  it('sends everything, complete and in order, to a reader who stops for a while', async () => {
    const { hub, port } = await start({ outboxBytes: 64 * 1024 * 1024 })
    const slow = await Peer.open(`wss://127.0.0.1:${port}/`, undefined, {}, false, first.cert)
    onTestFinished(() => slow.socket.terminate())
    await slow.subscribe(1, 't')
    slow.socket.pause()
    const publisher = client(port)
    const sent = Array.from({ length: 300 }, (_, n) => `${n} ${'x'.repeat((n * 997) % 100_000)}`)
    await Promise.all(sent.map((text) => publisher.publish('t', text)))
    expect(hub.outboxBytes).toBeGreaterThan(1_000_000)
    slow.socket.resume()
    for (const text of sent) expect((await slow.next('message')).data === text).toBe(true)
    await expect.poll(() => hub.outboxBytes).toBe(0)
  })

  it('gives new connections a renewed certificate, under traffic, and open ones stay', async () => {
    const { files, port } = await start()
    const changes: ConnectionStateChange[] = []
    const subscriber = client<number>(port)
    const received = new Reader(subscriber.subscribe('t'))
    const publisher = client(port)
    await publisher.publish('t', 0)
    await received.next()
    for (const each of [subscriber, publisher]) each.onState((change) => changes.push(change))
    let published = 0
    let answered = 0
    let over = false
    onTestFinished(() => {
      over = true
    })
    const publishing = (async () => {
      while (!over) await publisher.publish('t', ++published)
    })()
    // Each over its own connection.
    const cut: Error[] = []
    const asking = Array.from({ length: 4 }, async () => {
      while (!over) {
        const answer = await get(port, '/healthz', both).catch((error) => void cut.push(error))
        if (!answer) continue
        expect(answer.status).toBe(200)
        answered++
      }
    })
    files.write(second)
    await expect.poll(async () => (await handshake(port))[0]).toBe('second')
    const before = answered
    await expect.poll(() => answered).toBeGreaterThan(before + 20)
    over = true
    await Promise.all([publishing, ...asking])
    expect(await received.data(published)).toEqual(Array.from({ length: published }, (_, n) => n + 1))
    expect(changes).toEqual([])
    // The kernel resets those that wait for the previous listener at the moment it closes: at most one of each.
    expect(cut.length).toBeLessThanOrEqual(hubs.engine === 'uws' ? asking.length : 0)
    // No connection has the previous one.
    const names = await Promise.all(Array.from({ length: 40 }, () => handshake(port)))
    expect(new Set(names.map(([name]) => name))).toEqual(new Set(['second']))
  })

  it('notices that a link of a folder has changed, as Kubernetes does it', async () => {
    const files = new PairFiles(first)
    const at = (name: string) => join(files.folder, name)
    for (const { name, cert, key } of both) {
      await mkdir(at(name))
      await writeFile(at(`${name}/tls.crt`), cert)
      await writeFile(at(`${name}/tls.key`), key)
    }
    symlinkSync('first', at('..data'))
    const { hub } = await hubs.start({ tls: { certFile: at('..data/tls.crt'), keyFile: at('..data/tls.key') } })
    expect((await handshake(hub.port))[0]).toBe('first')
    await symlink('second', at('..next'))
    await rename(at('..next'), at('..data'))
    await expect.poll(async () => (await handshake(hub.port))[0]).toBe('second')
  })

  it('keeps the certificate if the files cannot be used, until they can', async () => {
    const { hub, files, port } = await start()
    for (const bad of [{ cert: second.cert }, { key: 'no key' }, { cert: '' }]) {
      files.write(bad)
      await expect(hub.reloadCertificate()).rejects.toMatchObject({ code: 'bad_config' })
      expect((await handshake(port))[0]).toBe('first')
    }
    files.write(second)
    await hub.reloadCertificate()
    expect((await handshake(port))[0]).toBe('second')
    // Several at once, and one when the hub closes.
    files.write(first)
    await Promise.all([hub.reloadCertificate(), hub.reloadCertificate(), hub.reloadCertificate()])
    expect((await handshake(port))[0]).toBe('first')
    await Promise.all([hub.reloadCertificate(), hub.close()])
    await expect(handshake(port)).rejects.toThrow('ECONNREFUSED')
  })

  it('reports when the certificate expires', async () => {
    const { hub, files, port } = await start()
    const daysLeft = async () => {
      const metrics = parseExposition((await get(port, '/metrics', both)).text)
      const [sample] = metrics.get(EXPIRY)?.samples ?? []
      return Math.round((Number(sample?.value) - Date.now() / 1000) / 86_400)
    }
    expect(await daysLeft()).toBe(30)
    files.write(second)
    await hub.reloadCertificate()
    expect(await daysLeft()).toBe(60)
    const plain = await hubs.start()
    const metrics = parseExposition(await (await fetch(`${plain.http}/metrics`)).text())
    expect(metrics.get(EXPIRY)?.samples ?? []).toEqual([])
  })

  it('closes connections that do not speak TLS, without affecting others', async () => {
    const { port } = await start()
    const other = client(port)
    await other.publish('t', 1)
    const changes: ConnectionStateChange[] = []
    other.onState((change) => changes.push(change))
    const hello = Buffer.from([22, 3, 1, 255, 255, 1, 2, 3])
    const said = ['GET / HTTP/1.1\r\nHost: hub\r\n\r\n', hello, Buffer.alloc(4096, 0), Buffer.alloc(4096, 255)]
    await Promise.all(said.map((bytes) => ended(spoken(port, bytes))))
    await expect(Peer.open(`ws://127.0.0.1:${port}/`)).rejects.toThrow()
    // In the middle of a handshake, and after one.
    spoken(port, hello.subarray(0, 3)).destroy()
    ;(await secured(port)).destroy()
    await other.publish('t', 2)
    expect((await handshake(port))[0]).toBe('first')
    expect(changes).toEqual([])
  })

  it('accepts only TLS on its port', async () => {
    const port = await freePort()
    const files = new PairFiles(first)
    const { hub } = await hubs.start({ port, tls: files.tls })
    for (let n = 0; n < 2; n++) {
      for (const engine of ENGINES) {
        for (const tls of [undefined, files.tls]) {
          await expect(startHub({ port, engine, tls })).rejects.toMatchObject({ code: 'port_in_use' })
        }
      }
      await hub.reloadCertificate()
    }
    await hub.close()
    const plain = await hubs.start({ port })
    await expect(startHub({ port, engine: hubs.engine })).rejects.toMatchObject({ code: 'port_in_use' })
    await expect(startHub({ port, engine: hubs.engine, tls: files.tls })).rejects.toMatchObject({ code: 'port_in_use' })
    expect((await fetch(`${plain.http}/healthz`)).status).toBe(200)
  })
})

// They take their ten seconds while the tests above run.
const waiting: Record<string, Promise<number>> = {}
beforeAll(async () => {
  const files = new PairFiles(first)
  for (const engine of ENGINES) {
    const plain = await startHub({ port: 0, engine })
    const secure = await startHub({ port: 0, engine, tls: files.tls })
    hubsOfAll.push(plain, secure)
    waiting[`${engine}, silent`] = timeUntilEnd(spoken(plain.port))
    waiting[`${engine}, half a request`] = timeUntilEnd(spoken(plain.port, 'GET / HTTP/1.1\r\nHo'))
    waiting[`${engine}, silent to TLS`] = timeUntilEnd(spoken(secure.port))
    waiting[`${engine}, half a handshake`] = timeUntilEnd(spoken(secure.port, Buffer.from([22, 3, 1, 2, 0, 1])))
    waiting[`${engine}, silent in TLS`] = timeUntilEnd(await secured(secure.port))
  }
})
const hubsOfAll: Hub[] = []
afterAll(() => Promise.all(hubsOfAll.map((hub) => hub.close())))

it('closes connections that send nothing within some seconds, on both engines', async () => {
  for (const [who, ms] of Object.entries(waiting)) {
    // Ten, plus what a busy machine adds to it or to the handshake before it.
    expect(await ms, who).toBeGreaterThan(5_000)
    expect(await ms, who).toBeLessThan(30_000)
  }
})

/** A plain connection that sends this. */
function spoken(port: number, bytes?: string | Buffer): Socket {
  const socket = tcp(port, '127.0.0.1').on('error', () => {})
  if (bytes !== undefined) socket.write(bytes)
  return socket.resume()
}

async function ended(socket: Socket): Promise<void> {
  if (!socket.closed) await once(socket, 'close')
}

async function timeUntilEnd(socket: Socket): Promise<number> {
  const since = performance.now()
  socket.on('error', () => {}).resume()
  await ended(socket)
  return performance.now() - since
}

describe('a certificate that cannot be used', () => {
  const locked = execFileSync('openssl', ['pkey', '-aes128', '-passout', 'pass:secret'], {
    input: first.key,
    encoding: 'utf8',
  })
  it.each<[string, Partial<Pair>, RegExp]>([
    [
      'of another key',
      { cert: second.cert, key: first.key },
      /the key in \S+key.pem does not belong to .* in \S+cert.pem/,
    ],
    ['that is not a certificate', { cert: 'none', key: first.key }, /tls.certFile: \S+cert.pem is not a certificate/],
    ['without a key', { cert: first.cert, key: '' }, /tls.keyFile: \S+key.pem is not a private key/],
    ['in place of its key', { cert: first.key, key: first.cert }, /tls.certFile: \S+cert.pem is not a certificate/],
    [
      'with a passphrase',
      { cert: first.cert, key: locked },
      /tls.keyFile: \S+key.pem is not a private key .*passphrase/,
    ],
  ])('%s is refused at start', async (_, { cert = '', key = '' }, message) => {
    const { tls } = new PairFiles({ cert, key })
    for (const engine of ENGINES) {
      await expect(startHub({ port: 0, engine, tls })).rejects.toMatchObject({
        code: 'bad_config',
        message: expect.stringMatching(message),
      })
    }
  })

  it('is refused as well if a file is missing, or only one of the options is set', async () => {
    const { certFile, keyFile } = new PairFiles(first)
    const start = (tls: object) => startHub({ port: 0, tls: tls as never })
    await expect(start({ certFile, keyFile: `${keyFile}.no` })).rejects.toThrow(/^tls.keyFile: ENOENT.*key.pem.no/)
    await expect(start({ certFile })).rejects.toThrow('tls.keyFile is missing.')
    await expect(createHub({ tls: { certFile, keyFile } } as HubOptions)).rejects.toMatchObject({ code: 'bad_config' })
  })

  it('and an expired one is reported as such', async () => {
    const warned: object[] = []
    const log = pino({ level: 'warn' }, { write: (line: string) => void warned.push(JSON.parse(line)) })
    const files = new PairFiles(first)
    const again = ['x509', '-in', files.certFile, '-signkey', files.keyFile, '-days', '-1']
    files.write({ cert: execFileSync('openssl', again, { encoding: 'utf8', stdio: 'pipe' }) })
    const hub = await startHub({ port: 0, tls: files.tls }, log)
    await hub.close()
    expect(warned).toMatchObject([{ msg: 'the certificate has expired' }])
  })
})

it('a hub on an existing https server knows that it uses TLS', async () => {
  const server = createServer({ cert: first.cert, key: first.key })
  const hub = await createHub({ auth: { anonymous: 'allow' } })
  onTestFinished(async () => {
    await hub.close()
    server.close()
  })
  await hub.attach(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const upgrade = (origin: string) =>
    Peer.open(`wss://127.0.0.1:${port}/`, undefined, { host: 'hub.example', origin }, false, first.cert)
  await expect(upgrade('http://hub.example')).rejects.toThrow('403')
  ;(await upgrade('https://hub.example')).socket.terminate()
  const fetched = (url: string) =>
    hub.fetch(new Request(url, { headers: { host: 'hub.example', origin: 'http://hub.example' } }))
  expect((await fetched('https://hub.example/v1/queues')).status).toBe(403)
  expect((await fetched('http://hub.example/v1/queues')).status).toBe(200)
})
