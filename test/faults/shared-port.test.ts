import { describe, expect, it, onTestFinished } from 'vitest'
import { clientOf, node, redisOf } from '../setup/cluster.ts'
import { ENGINES } from '../setup/engines.ts'
import { freePort } from '../setup/free-port.ts'
import { HubProcess } from '../setup/hub-process.ts'
import { Peer } from '../setup/peer.ts'
import { handshake, makePair, PairFiles } from '../setup/tls.ts'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const canShare = (engine: string) => engine === 'uws' || major > 23 || (major === 22 && minor >= 12)

describe.each(ENGINES)('hubs of a cluster on one port, with %s', (engine) => {
  it.runIf(canShare(engine))('share the connections, and go on when one of them ends', async () => {
    const redis = await redisOf()
    const port = await freePort()
    const start = (name: string) => node(redis.url, { engine, port, 'reuse-port': 'on', 'node-name': name })
    const [east, west] = await Promise.all([start('east'), start('west')])
    const named = async () => {
      const peer = await Peer.open(east.url)
      onTestFinished(() => peer.terminate())
      peer.send({ type: 'hello' })
      return { peer, name: (await peer.next('welcome')).node }
    }
    const peers = await Promise.all(Array.from({ length: 40 }, named))
    expect(new Set(peers.map(({ name }) => name))).toEqual(new Set(['east', 'west']))
    await Promise.all(peers.map(({ peer }) => peer.subscribe(1, 'live')))
    await clientOf(west).publish('live', 1)
    await Promise.all(peers.map(({ peer }) => peer.next('message')))

    await east.kill('SIGTERM')
    const next = await Promise.all(Array.from({ length: 10 }, named))
    expect(new Set(next.map(({ name }) => name))).toEqual(new Set(['west']))
  })

  it.runIf(canShare(engine))(
    'share it with TLS, and renew their certificates without losing a connection',
    async () => {
      const redis = await redisOf()
      const port = await freePort()
      const [first, second] = [makePair('first'), makePair('second')]
      const files = new PairFiles(first)
      const tls = { 'tls-cert-file': files.certFile, 'tls-key-file': files.keyFile }
      const start = (name: string) => node(redis.url, { engine, port, 'reuse-port': 'on', 'node-name': name, ...tls })
      const hubs = await Promise.all([start('east'), start('west')])
      const named = async ({ cert }: { cert: string }) => {
        const peer = await Peer.open(`wss://127.0.0.1:${port}/`, undefined, undefined, true, cert)
        onTestFinished(() => peer.terminate())
        peer.send({ type: 'hello' })
        return { peer, name: (await peer.next('welcome')).node }
      }
      const before = await Promise.all(Array.from({ length: 40 }, () => named(first)))
      expect(new Set(before.map(({ name }) => name))).toEqual(new Set(['east', 'west']))
      await Promise.all(before.map(({ peer }) => peer.subscribe(1, 'live')))

      files.write(second)
      for (const hub of hubs) hub.signal('SIGHUP')
      for (const hub of hubs) await expect.poll(() => hub.log.join()).toContain('certificate reloaded')
      const names = await Promise.all(Array.from({ length: 20 }, async () => (await handshake(port))[0]))
      expect(new Set(names)).toEqual(new Set(['second']))
      const after = await Promise.all(Array.from({ length: 40 }, () => named(second)))
      expect(new Set(after.map(({ name }) => name))).toEqual(new Set(['east', 'west']))
      after[0]?.peer.send({ type: 'publish', seq: 1, topic: 'live', data: 1 })
      await Promise.all(before.map(({ peer }) => peer.next('message')))
    },
  )

  it.runIf(canShare(engine))('share it with no hub that does not say so', async () => {
    const redis = await redisOf()
    const port = await freePort()
    const shared = { engine, port, cluster: redis.url, 'reuse-port': 'on' }
    const hub = await node(redis.url, shared)
    for (const other of ENGINES) {
      const refused = await HubProcess.refusal({ engine: other, port, data: 'memory' })
      expect(refused.stderr).toContain(`port_in_use: The hub cannot listen on 127.0.0.1:${port}`)
      expect(refused.code).toBe(1)
    }
    await hub.kill()
    const single = await HubProcess.start({ engine, port, data: 'memory' })
    onTestFinished(async () => void (await single.kill()))
    expect((await HubProcess.refusal(shared)).stderr).toMatch(/port_in_use: .* All hubs on one port need reusePort\./)
  })

  it.skipIf(canShare(engine))('need a Node that can', async () => {
    const redis = await redisOf()
    const { code, stderr } = await HubProcess.refusal({ engine, cluster: redis.url, 'reuse-port': 'on' })
    expect(code).toBe(2)
    expect(stderr).toContain('reusePort needs Node 22.12, 23.1 or later on the engine ws')
  })
})

it('a hub without a cluster shares its port with none', async () => {
  const { code, stderr } = await HubProcess.refusal({ 'reuse-port': 'on', data: 'memory' })
  expect(code).toBe(2)
  expect(stderr).toMatch(/reusePort.* needs cluster/)
})

it.each(ENGINES)('of two hubs that start at once on one port, one is refused, with %s', async (engine) => {
  const port = await freePort()
  const start = () => HubProcess.start({ engine, port, data: 'memory' })
  const started = await Promise.allSettled([start(), start(), start()])
  const hubs = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  for (const hub of hubs) await hub.kill()
  expect(hubs).toHaveLength(1)
})
