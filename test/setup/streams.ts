import { afterEach } from 'vitest'
import { type Client, type ClientOptions, connect } from '../../client/node.ts'
import type { HubOptions } from '../../server/index.ts'
import { FlakyNetwork } from './flaky-network.ts'
import type { HubFactory } from './hubs.ts'
import { Peer } from './peer.ts'

/** A hub with a stream `s` on the topics `s.#`, with its publishers and subscribers. */
export interface StreamWorld {
  readonly hub: Awaited<ReturnType<HubFactory['start']>>['hub']
  readonly url: string
  /** A client that is closed after the test. */
  client(url?: string, options?: ClientOptions): Client
  peer(): Promise<Peer>
  network(): Promise<FlakyNetwork>
}

/** What the tests of streams need, closed again after each. */
export function streamWorlds(hubs: HubFactory): (options?: HubOptions) => Promise<StreamWorld> {
  let clients: Client[] = []
  let networks: FlakyNetwork[] = []
  let peers: Peer[] = []
  afterEach(async () => {
    for (const peer of peers) peer.socket.terminate()
    // Handlers that a test left hanging have nothing more to say.
    await Promise.all(clients.map((client) => client.close({ timeout: 100 })))
    await Promise.all(networks.map((network) => network.close()))
    clients = []
    networks = []
    peers = []
  })
  return async (options = {}) => {
    const { hub, url } = await hubs.start({ streams: [{ name: 's', topics: ['s.#'] }], ...options })
    return {
      hub,
      url,
      client(to = url, more = {}) {
        const client = connect(to, { backoff: { base: 1, cap: 20 }, ...more })
        clients.push(client)
        return client
      },
      async peer() {
        const peer = await Peer.hello(url)
        peers.push(peer)
        return peer
      },
      async network() {
        const network = await FlakyNetwork.to(hub.port)
        networks.push(network)
        return network
      },
    }
  }
}

export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, n) => from + n)
}

/** Publishes numbers, as many at once as the window allows. */
export async function publishNumbers(client: Client, topic: string, from: number, to: number): Promise<void> {
  await Promise.all(range(from, to).map((n) => client.publish(topic, n)))
}
