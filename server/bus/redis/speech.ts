import type { RedisLink } from './link.ts'
import { encodePacket, type Packet } from './packets.ts'

/** Where nodes hear one another: each in an inbox of its own, and all in one channel. And where Redis has their list. */
export class Channels {
  readonly all: string
  /** A hash of all nodes by their ids. */
  readonly nodes: string
  private readonly prefix: string

  constructor(prefix: string) {
    this.prefix = prefix
    this.all = `${prefix}:all`
    this.nodes = `${prefix}:nodes`
  }

  inboxOf(node: string): string {
    return `${this.prefix}:node:${node}`
  }
}

/** What a node says. */
export class Speech {
  private readonly node: string
  private readonly link: RedisLink
  private readonly channels: Channels

  constructor(node: string, link: RedisLink, channels: Channels) {
    this.node = node
    this.link = link
    this.channels = channels
  }

  get sender() {
    return { from: this.node, link: this.link.number }
  }

  tell(packet: Packet): void {
    this.link.publish(this.channels.all, encodePacket(packet))
  }

  send(node: string, packet: Packet): void {
    this.link.publish(this.channels.inboxOf(node), encodePacket(packet))
  }
}
