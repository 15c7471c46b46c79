import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { command, redisOf } from './cluster.ts'
import { freePort } from './free-port.ts'
import type { RedisServer } from './redis-server.ts'

const SLOTS = 16_384

/** A Redis Cluster whose nodes share the slots evenly. It ends with the test, and keeps what it acknowledges. */
export class RedisCluster {
  readonly nodes: RedisServer[] = []
  /** Where the nodes talk to each other. */
  private readonly ports: number[] = []

  static async start(primaries: number): Promise<RedisCluster> {
    const cluster = new RedisCluster()
    for (let n = 0; n < primaries; n++) {
      const [from, to] = [n, n + 1].map((at) => Math.floor((at * SLOTS) / primaries)) as [number, number]
      await command(await cluster.add(), 'CLUSTER', 'ADDSLOTSRANGE', `${from}`, `${to - 1}`)
    }
    await cluster.agree()
    return cluster
  }

  /** `redis+cluster://` with all nodes. */
  get url(): string {
    return `redis+cluster://${this.nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`
  }

  /** Adds a replica of a node, and waits until it has everything. */
  async addReplica(of: RedisServer): Promise<RedisServer> {
    const replica = await this.add()
    await this.agree()
    await command(replica, 'CLUSTER', 'REPLICATE', await idOf(of))
    await expect
      .poll(async () => String(await command(replica, 'INFO', 'replication')))
      .toContain('master_link_status:up')
    await this.agree()
    return replica
  }

  /** The slot of the keys of a hub cluster, and the node that holds it. */
  async owner(prefix = 'fanfare'): Promise<{ slot: string; owner: RedisServer }> {
    const [first] = this.nodes as [RedisServer]
    const slot = Number(await command(first, 'CLUSTER', 'KEYSLOT', `{${prefix}}:meta`))
    const ranges = (await command(first, 'CLUSTER', 'SLOTS')) as [number, number, [string, number]][]
    const range = ranges.find(([from, to]) => from <= slot && slot <= to)
    const owner = this.nodes.find(({ port }) => port === range?.[2][1]) as RedisServer
    return { slot: `${slot}`, owner }
  }

  /** Begins to move a slot from one node to another. */
  async beginMove(slot: string, from: RedisServer, to: RedisServer): Promise<void> {
    await command(to, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', await idOf(from))
    await command(from, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', await idOf(to))
  }

  /** Moves some keys of a slot. Resolves to how many. */
  async moveKeys(slot: string, from: RedisServer, to: RedisServer, count: number): Promise<number> {
    const keys = (await command(from, 'CLUSTER', 'GETKEYSINSLOT', slot, `${count}`)) as string[]
    if (keys.length > 0) {
      await command(from, 'MIGRATE', '127.0.0.1', `${to.port}`, '', '0', '5000', 'KEYS', ...keys)
    }
    return keys.length
  }

  async endMove(slot: string, from: RedisServer, to: RedisServer): Promise<void> {
    while ((await this.moveKeys(slot, from, to, 100)) > 0);
    for (const node of [to, from]) await command(node, 'CLUSTER', 'SETSLOT', slot, 'NODE', await idOf(to))
  }

  private async add(): Promise<RedisServer> {
    const directory = mkdtempSync(join(tmpdir(), 'fanfare-redis-'))
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
    const port = await freePort()
    const options = {
      'cluster-enabled': 'yes',
      'cluster-port': `${port}`,
      'cluster-config-file': 'nodes.conf',
      'cluster-node-timeout': '1000',
      dir: directory,
      appendonly: 'yes',
      appendfsync: 'always',
    }
    const node = await redisOf(...Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]))
    const [first] = this.nodes
    this.nodes.push(node)
    this.ports.push(port)
    if (first) await command(node, 'CLUSTER', 'MEET', '127.0.0.1', `${first.port}`, `${this.ports[0]}`)
    return node
  }

  /** Resolves when every node knows all others, and sees that all slots are served. */
  private async agree(): Promise<void> {
    for (const node of this.nodes) {
      const info = async () => String(await command(node, 'CLUSTER', 'INFO'))
      await expect.poll(info).toMatch(/cluster_state:ok/)
      await expect.poll(info).toMatch(new RegExp(`cluster_known_nodes:${this.nodes.length}\\b`))
    }
  }
}

async function idOf(node: RedisServer): Promise<string> {
  return String(await command(node, 'CLUSTER', 'MYID'))
}
