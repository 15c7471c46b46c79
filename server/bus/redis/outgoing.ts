import type { LiveMessage } from '../bus.ts'
import { encodeBatch, encodeMessage } from './batches.ts'
import type { RedisLink } from './link.ts'
import type { OtherInterests } from './other-interests.ts'
import type { Peer } from './peer.ts'
import type { Channels } from './speech.ts'
import { TopicRecord, type TopicsSince } from './topic-record.ts'

/** A batch takes no further message beyond this: Redis does nothing else while it copies one. */
const BATCH_BYTES = 256 * 1024
/** How long it is remembered which topics had messages, in milliseconds. */
const REMEMBERED_MS = 60_000

/** Messages for one node. */
interface Load {
  /** As `encodeMessage` writes them. */
  text: string
  count: number
}

/** Messages on their way out: what a turn of the event loop brings for a node goes in one batch. */
export class Outgoing {
  private readonly link: RedisLink
  private readonly interests: OtherInterests<Peer>
  private readonly channels: Channels
  private readonly node: string
  private waiting: LiveMessage[] = []
  /** Once for each node. */
  sentMessages = 0
  private flushing: NodeJS.Immediate | undefined = undefined
  /** All topics, by the time of their last message. */
  private readonly recent = new TopicRecord()

  constructor(link: RedisLink, interests: OtherInterests<Peer>, channels: Channels, node: string) {
    this.link = link
    this.interests = interests
    this.channels = channels
    this.node = node
  }

  add(message: LiveMessage): void {
    this.waiting.push(message)
    this.flushing ??= setImmediate(() => this.flush())
  }

  /** Sends what waits. What cannot be sent is counted, and told when the other node asks. */
  flush(): void {
    clearImmediate(this.flushing)
    this.flushing = undefined
    if (this.waiting.length === 0) return
    // A process that was stopped finds itself here first.
    this.link.check()
    const messages = this.waiting
    this.waiting = []
    const now = performance.now()
    const loads = new Map<Peer, Load>()
    for (const message of messages) {
      const { topic } = message
      this.recent.add(topic, now)
      const peers = this.interests.of(topic)
      if (peers.length === 0) continue
      const text = encodeMessage(message)
      for (const peer of peers) this.load(loads, peer, topic, text)
    }
    for (const [peer, load] of loads) this.send(peer, load)
  }

  /** Topics that had messages after a time. */
  since(time: number): TopicsSince {
    return this.recent.since(time)
  }

  forget(): void {
    this.recent.drop(performance.now() - REMEMBERED_MS)
  }

  private load(loads: Map<Peer, Load>, peer: Peer, topic: string, text: string): void {
    let load = loads.get(peer)
    if (load && load.text.length + text.length > BATCH_BYTES) {
      this.send(peer, load)
      load = undefined
    }
    if (!load) {
      load = { text: '', count: 0 }
      loads.set(peer, load)
      peer.sent++
    }
    peer.unconfirmed.add(topic, peer.sent)
    if (!peer.isOpen) return
    load.text += text
    load.count++
  }

  private send(peer: Peer, { text, count }: Load): void {
    if (!peer.isOpen || !this.link.hasRoom) return
    const head = { from: this.node, link: this.link.number, number: peer.sent }
    this.sentMessages += count
    this.link.publish(this.channels.inboxOf(peer.id), encodeBatch(head, text))
  }
}
