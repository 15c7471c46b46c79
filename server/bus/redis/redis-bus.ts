import type { Buffer } from 'node:buffer'
import { hostname } from 'node:os'
import type { Logger } from 'pino'
import { randomId } from '../../id/random-id.ts'
import type { Bus, BusEvents, BusFigures, LiveMessage } from '../bus.ts'
import { decodeBatch, isBatch } from './batches.ts'
import { type LinkEvents, RedisLink } from './link.ts'
import { Neighbours } from './neighbours.ts'
import { OpenQuestions } from './open-questions.ts'
import { OtherInterests } from './other-interests.ts'
import { Outgoing } from './outgoing.ts'
import { OwnInterests } from './own-interests.ts'
import { type Applied, type Asked, type Changed, decodePacket, type Packet } from './packets.ts'
import type { Peer } from './peer.ts'
import { Permissions } from './permissions.ts'
import type { RedisAddress } from './redis-address.ts'
import { Channels, Speech } from './speech.ts'
import { decodeValue, encodeValue } from './values.ts'

const BEAT_MS = 1_000

export interface RedisBusOptions {
  readonly redis: RedisAddress
  /** What all keys and channels begin with: hubs with another one are not of this cluster. */
  readonly prefix: string
  readonly name: string | undefined
  /** Version of the hub. */
  readonly version: string
}

/**
 * The bus of hubs that share a Redis. Redis carries and keeps nothing: each node has a channel of its own, its inbox, and there is one for all.
 * The nodes tell each other their interests, so that a message goes to those nodes only that have one, and all that a turn of the event loop brings for a
 * node goes in one command. Batches are numbered for each receiver, which makes every loss known: see `packets.ts`.
 */
export class RedisBus implements Bus {
  readonly node: Bus['node']
  private readonly log: Logger
  private readonly channels: Channels
  private readonly link: RedisLink
  private readonly speech: Speech
  private readonly own = new OwnInterests()
  private readonly others = new OtherInterests<Peer>()
  private readonly outgoing: Outgoing
  private readonly questions = new OpenQuestions()
  private readonly neighbours: Neighbours
  private receivedMessages = 0
  private events: BusEvents | undefined = undefined
  private beating: NodeJS.Timeout | undefined = undefined
  private telling: NodeJS.Immediate | undefined = undefined

  constructor({ redis, prefix, name, version }: RedisBusOptions, log: Logger) {
    this.node = { id: randomId(10), name: name ?? hostname() }
    this.log = log
    this.channels = new Channels(prefix)
    const { nodes, all } = this.channels
    this.link = new RedisLink(redis, new Permissions(prefix, redis, false), {
      hash: nodes,
      channels: [all, this.channels.inboxOf(this.node.id)],
      events: this.linkEvents,
      log,
    })
    this.speech = new Speech(this.node.id, this.link, this.channels)
    this.outgoing = new Outgoing(this.link, this.others, this.channels, this.node.id)
    this.neighbours = new Neighbours({
      ...{ node: this.node, hubVersion: version, link: this.link, channels: this.channels, speech: this.speech },
      ...{ own: this.own, others: this.others, outgoing: this.outgoing, log },
      tellChanges: () => this.tellChanges(),
      left: (node) => this.left(node),
    })
  }

  /** It has lost its way to the other nodes. */
  get isCutOff(): boolean {
    return this.events !== undefined && !this.link.isUp
  }

  get reconnections(): number {
    return Math.max(0, this.link.number - 1)
  }

  get figures(): BusFigures {
    const { sentBytes, receivedBytes, lagMs } = this.link
    const { sentMessages } = this.outgoing
    return { sentMessages, receivedMessages: this.receivedMessages, sentBytes, receivedBytes, lagMs }
  }

  async open(events: BusEvents): Promise<void> {
    this.events = events
    this.neighbours.events = events
    await this.link.open()
    await this.neighbours.open()
    this.beating = setInterval(() => void this.neighbours.beat(), BEAT_MS)
  }

  publish(message: LiveMessage): void {
    if (this.events) this.outgoing.add(message)
  }

  subscribe(pattern: readonly string[]): Promise<void> | undefined {
    const stands = this.own.add(pattern.join('.'), this.neighbours.heeded.length > 0)
    this.tellSoon()
    return stands
  }

  unsubscribe(pattern: readonly string[]): void {
    if (this.own.remove(pattern.join('.'))) this.tellSoon()
  }

  async ask(node: string, question: string, params: unknown, timeoutMs: number): Promise<unknown> {
    const peer = this.neighbours.get(node)
    if (!peer?.isJoined) return undefined
    const { number, answer } = this.questions.add(node, timeoutMs)
    this.speech.send(peer.id, {
      type: 'asked',
      ...this.speech.sender,
      question: number,
      name: question,
      params: encodeValue(params),
    })
    return answer
  }

  async close(): Promise<void> {
    if (!this.events) return
    clearInterval(this.beating)
    this.outgoing.flush()
    this.speech.tell({ type: 'bye', ...this.speech.sender })
    // `close` waits for it, but not forever: the link may be half-open.
    void this.link.leave(this.channels.nodes, [this.node.id])
    await this.link.close()
    this.neighbours.close()
    this.events = undefined
  }

  // What the link and the neighbours report

  private get linkEvents(): LinkEvents {
    return {
      up: () => this.neighbours.up(),
      down: () => this.neighbours.down(),
      received: (bytes) => this.guarded(bytes),
    }
  }

  private left(node: string): void {
    this.events?.left(node)
    this.questions.left(node)
  }

  /** Something else may publish in the channels of this Redis: it costs a line of the log and nothing else. */
  private guarded(bytes: Buffer): void {
    try {
      this.received(bytes)
    } catch (error) {
      this.log.warn(
        { err: error, bytes: bytes.length },
        'ignored something in the channels of the cluster that no node says',
      )
    }
  }

  private received(bytes: Buffer): void {
    if (isBatch(bytes)) return this.gotBatch(bytes)
    const packet = decodePacket(bytes)
    if (packet.from !== this.node.id) return this.got(packet)
    if (packet.type === 'beat' && packet.link === this.link.number) this.link.proven()
  }

  private gotBatch(bytes: Buffer): void {
    const { from, link, number, messages } = decodeBatch(bytes)
    const peer = this.neighbours.get(from)
    if (peer?.link !== link) return
    if (!peer.isReady) return this.neighbours.stillThere(peer)
    if (number !== peer.seen + 1) return this.neighbours.resync(peer)
    peer.seen = number
    peer.heardAt = performance.now()
    this.receivedMessages += messages.length
    this.events?.messages(messages)
  }

  private got(packet: Packet): void {
    if (packet.type === 'hello') return this.neighbours.gotHello(packet)
    if (packet.type === 'synced') return this.neighbours.gotSynced(packet)
    const peer = this.neighbours.get(packet.from)
    if (!peer || packet.link !== peer.link) return
    peer.heardAt = performance.now()
    if (packet.type === 'settled') return this.neighbours.gotSettled(packet, peer)
    if (packet.type === 'beat') return this.neighbours.gotBeat(packet, peer)
    if (packet.type === 'bye') return this.neighbours.gotBye(peer)
    if (!peer.isOpen) return
    if (packet.type === 'changed') return this.gotChanged(packet, peer)
    if (packet.type === 'applied') return this.gotApplied(packet, peer)
    if (packet.type === 'asked') return this.gotQuestion(packet, peer)
    this.questions.end(packet.question, packet.answer === undefined ? undefined : decodeValue(packet.answer))
  }

  // Interests

  private tellSoon(): void {
    this.telling ??= setImmediate(() => this.tellChanges())
  }

  private tellChanges(): void {
    clearImmediate(this.telling)
    this.telling = undefined
    const changes = this.own.takeChanges()
    if (changes.length > 0)
      this.speech.tell({ type: 'changed', ...this.speech.sender, version: this.own.version, changes })
  }

  private gotChanged({ version, changes }: Changed, peer: Peer): void {
    if (version > peer.version + 1) return this.neighbours.resync(peer)
    if (version > peer.version) {
      for (const change of changes) {
        const name = change.slice(1)
        if (change.startsWith('+')) this.others.add(name, peer)
        else this.others.remove(name, peer)
      }
      peer.version = version
    }
    this.speech.send(peer.id, { type: 'applied', ...this.speech.sender, version })
  }

  private gotApplied({ version }: Applied, peer: Peer): void {
    peer.applied = version
    this.neighbours.confirm()
  }

  // Questions

  private gotQuestion({ question, name, params }: Asked, peer: Peer): void {
    const answer = (value?: string) =>
      this.speech.send(peer.id, { type: 'answered', ...this.speech.sender, question, answer: value })
    this.events?.asked(name, decodeValue(params), peer.id).then(
      (value) => answer(encodeValue(value)),
      () => answer(),
    )
  }
}
