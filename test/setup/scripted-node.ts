import { Redis } from 'ioredis'

interface Said {
  readonly type: string
  readonly from: string
  readonly [member: string]: unknown
}

/** A node of a cluster that sends to the others what a test wants, in the packets of `server/bus/redis/packets.ts`. */
export class ScriptedNode {
  readonly id: string
  readonly formats: readonly [number, number]
  readonly heard: Said[] = []
  private readonly prefix: string
  private readonly commands: Redis
  private readonly hearing: Redis

  private constructor(url: string, prefix: string, id: string, formats: readonly [number, number]) {
    this.id = id
    this.prefix = prefix
    this.formats = formats
    this.commands = new Redis(url)
    this.hearing = new Redis(url)
    this.hearing.on('message', (_channel, text: string) => {
      if (text.startsWith('{')) this.heard.push(JSON.parse(text))
    })
  }

  /** One that is in the list of nodes, and hears its inbox; it has said nothing yet. */
  static async start(url: string, prefix: string, formats: readonly [number, number]): Promise<ScriptedNode> {
    const node = new ScriptedNode(url, prefix, `scripted-${formats.join('-')}`, formats)
    await node.hearing.subscribe(`${prefix}:all`, `${prefix}:node:${node.id}`)
    const entry = JSON.stringify({ name: node.id, version: '9.9.9', formats })
    await node.commands.hset(`${prefix}:nodes`, node.id, entry)
    return node
  }

  async hello(): Promise<void> {
    await this.say('all', { type: 'hello', ...this.introduction, seen: {} })
  }

  /** Answers the hello of a node. */
  async synced(node: string): Promise<void> {
    const account = { sent: 0, lost: [], account: 1, applied: 0, unproven: [], knows: 0, seen: 0 }
    await this.say(`node:${node}`, { type: 'synced', ...this.introduction, ...account })
  }

  close(): void {
    this.commands.disconnect()
    this.hearing.disconnect()
  }

  private get introduction() {
    return { from: this.id, link: 1, name: this.id, formats: this.formats, interests: [], version: 0 }
  }

  private async say(channel: string, packet: object): Promise<void> {
    await this.commands.publish(`${this.prefix}:${channel}`, JSON.stringify(packet))
  }
}
