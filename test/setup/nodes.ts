import { pino } from 'pino'
import { afterEach } from 'vitest'
import { type Client, type ClientOptions, connect } from '../../client/node.ts'
import { Authenticator } from '../../server/auth/authenticator.ts'
import { loadBroker } from '../../server/broker/load-broker.ts'
import { checkConfig } from '../../server/config.ts'
import { loadEngine } from '../../server/engine/load-engine.ts'
import { UnexpectedErrors } from '../../server/failure/unexpected-errors.ts'
import { type Hub, HubCore } from '../../server/hub.ts'
import type { HubOptions } from '../../server/index.ts'
import type { EngineUnderTest } from './engines.ts'
import { type JoinedBus, JoinedBuses } from './joined-buses.ts'
import { Peer } from './peer.ts'

/** A node of a hub: a hub that is joined to others by a bus. */
export interface TestNode {
  readonly hub: Hub
  readonly bus: JoinedBus
  readonly url: string
  /** A client that is closed after the test. */
  client(options?: ClientOptions): Client
  peer(): Promise<Peer>
}

/** Starts nodes that are joined in this process; all of it is closed after the test. */
export function nodesOn(engine: EngineUnderTest): (count: number, options?: HubOptions) => Promise<TestNode[]> {
  const ends: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })
  return async (count, options = {}) => {
    const buses = new JoinedBuses()
    const nodes: TestNode[] = []
    while (nodes.length < count) {
      const bus = buses.add()
      const hub = await startNode(bus, { port: 0, engine, drainTimeout: 1000, ...options })
      ends.push(() => hub.close())
      const url = `ws://127.0.0.1:${hub.port}/`
      nodes.push({
        hub,
        bus,
        url,
        client(more = {}) {
          const client = connect(url, { backoff: { base: 1, cap: 20 }, ...more })
          ends.push(() => client.close({ timeout: 100 }))
          return client
        },
        async peer() {
          const peer = await Peer.hello(url)
          ends.push(async () => peer.socket.terminate())
          return peer
        },
      })
    }
    return nodes
  }
}

async function startNode(bus: JoinedBus, options: HubOptions): Promise<Hub> {
  const log = pino({ enabled: false })
  const config = checkConfig(options)
  const unexpected = new UnexpectedErrors(log)
  const authenticator = new Authenticator(config.auth, log)
  await authenticator.open()
  authenticator.listensOn(config.host, true)
  const broker = await loadBroker(config.data, { ...config, unexpected }, log)
  const hub = new HubCore(config, broker, bus, authenticator, log, undefined, unexpected)
  await hub.listen(await loadEngine(config.engine))
  return hub
}
