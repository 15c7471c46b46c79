import type { Buffer } from 'node:buffer'
import { hostname } from 'node:os'
import type { Logger } from 'pino'
import { FanfareError } from '../../../shared/errors.ts'
import { randomId } from '../../id/random-id.ts'
import { version } from '../../version.ts'
import type { Bus, BusEvents, LiveMessage } from '../bus.ts'
import { decodeBatch, isBatch } from './batches.ts'
import { type Channels, RedisLink } from './link.ts'
import { OpenQuestions } from './open-questions.ts'
import { OtherInterests } from './other-interests.ts'
import { Outgoing } from './outgoing.ts'
import { OwnInterests } from './own-interests.ts'
import {
  type Applied,
  type Asked,
  type Changed,
  decodePacket,
  encodePacket,
  type Hello,
  type Packet,
  type Settled,
  type Synced,
} from './packets.ts'
import { Peer } from './peer.ts'
import type { RedisAddress } from './redis-address.ts'
import { decodeValue, encodeValue } from './values.ts'

/** Formats of `packets.ts` and `batches.ts` that this version speaks, from the oldest to the newest. */
const FORMATS = [1, 1] as const
const BEAT_MS = 1_000
/** A node that gives no sign of life for so long has left. */
const LAPSE_MS = 5_000
/** How long a node that has left without a word may come back and say what was missed of it; then all may be missed. */
const RETURN_MS = 15_000
/** The same for one that does not move, but whose connections stand: it was stopped, and may go on. */
const PAUSE_MS = 60_000
/**
 * How long a sign of life may have been on its way, and waited for its turn here: what was said that long before it was handled may have come before an
 * interest that the other took after it.
 */
const ON_ITS_WAY_MS = 1_000
/** How long it takes at most to get to know the nodes that are there, at the start. */
const MEET_MS = LAPSE_MS

export interface RedisBusOptions {
  readonly redis: RedisAddress
  /** What all keys and channels begin with: hubs with another one are not of this cluster. */
  readonly prefix: string
  readonly name: string | undefined
}

/**
 * The bus of hubs that share a Redis. Redis carries and keeps nothing: each node has a channel of its own, its inbox, and there is one for all.
 * The nodes tell each other their interests, so that a message goes to those nodes only that have one, and all that a turn of the event loop brings for a
 * node goes in one command. Batches are numbered for each receiver, which makes every loss known: see `packets.ts`.
 */
export class RedisBus implements Bus {
  readonly node: Bus['node']
  private readonly prefix: string
  private readonly channels: Channels
  private readonly link: RedisLink
  private readonly own = new OwnInterests()
  private readonly others = new OtherInterests<Peer>()
  private readonly outgoing: Outgoing
  private readonly questions = new OpenQuestions()
  private readonly peers = new Map<string, Peer>()
  private events: BusEvents | undefined = undefined
  /** When this node last lost the others. */
  private cutAt = performance.now()
  private beating: NodeJS.Timeout | undefined = undefined
  private telling: NodeJS.Immediate | undefined = undefined
  /** While this node starts: a node that was there before is known, or gone. */
  private meeting: { met(id: string): void } | undefined = undefined

  constructor({ redis, prefix, name }: RedisBusOptions, log: Logger) {
    this.node = { id: randomId(10), name: name ?? hostname() }
    this.prefix = prefix
    this.channels = { inbox: this.inboxOf(this.node.id), all: `${prefix}:all` }
    const events = { up: () => this.up(), down: () => this.down(), received: (bytes: Buffer) => this.received(bytes) }
    this.link = new RedisLink(redis, this.channels, events, log)
    this.outgoing = new Outgoing(this.link, this.others, (peer) => this.inboxOf(peer.id), this.node.id)
  }

  /** It has lost its way to the other nodes. */
  get isCutOff(): boolean {
    return this.events !== undefined && !this.link.isUp
  }

  async open(events: BusEvents): Promise<void> {
    this.events = events
    await this.link.open()
    const entries = await this.link.enter(this.nodesKey, this.node.id, this.entry)
    await this.meet(await this.nodesThere(entries))
    this.beating = setInterval(() => void this.beat(), BEAT_MS)
  }

  publish(message: LiveMessage): void {
    if (this.events) this.outgoing.add(message)
  }

  subscribe(pattern: readonly string[]): Promise<void> | undefined {
    const stands = this.own.add(pattern.join('.'), this.heeded.length > 0)
    this.tellSoon()
    return stands
  }

  unsubscribe(pattern: readonly string[]): void {
    if (this.own.remove(pattern.join('.'))) this.tellSoon()
  }

  async ask(node: string, question: string, params: unknown, timeoutMs: number): Promise<unknown> {
    const peer = this.peers.get(node)
    if (!peer?.isJoined) return undefined
    const { number, answer } = this.questions.add(node, timeoutMs)
    this.send(peer, { type: 'asked', ...this.sender, question: number, name: question, params: encodeValue(params) })
    return answer
  }

  async close(): Promise<void> {
    if (!this.events) return
    clearInterval(this.beating)
    this.outgoing.flush()
    this.tell({ type: 'bye', ...this.sender })
    await this.link.leave(this.nodesKey, [this.node.id])
    await this.link.close()
    this.down()
    this.events = undefined
    this.peers.clear()
  }

  // The link

  private up(): void {
    const seen: Record<string, number> = {}
    for (const peer of this.peers.values()) {
      seen[peer.id] = peer.seen
      peer.isSyncing = true
      peer.leftAt = performance.now()
    }
    this.tell({ type: 'hello', ...this.introduction, seen })
  }

  private down(): void {
    this.cutAt = this.link.provenAt
    for (const peer of this.peers.values()) this.leave(peer)
  }

  private received(bytes: Buffer): void {
    if (isBatch(bytes)) return this.gotBatch(bytes)
    const packet = decodePacket(bytes)
    if (packet.from !== this.node.id) return this.got(packet)
    if (packet.type === 'beat' && packet.link === this.link.number) this.link.proven()
  }

  private gotBatch(bytes: Buffer): void {
    const { from, link, number, messages } = decodeBatch(bytes)
    const peer = this.peers.get(from)
    if (peer?.link !== link) return
    if (!peer.isReady) return this.stillThere(peer)
    if (number !== peer.seen + 1) return this.resync(peer)
    peer.seen = number
    peer.heardAt = performance.now()
    this.events?.messages(messages)
  }

  private got(packet: Packet): void {
    if (packet.type === 'hello') return this.gotHello(packet)
    if (packet.type === 'synced') return this.gotSynced(packet)
    const peer = this.peers.get(packet.from)
    if (!peer || packet.link !== peer.link) return
    peer.heardAt = performance.now()
    if (packet.type === 'settled') return this.gotSettled(packet, peer)
    if (packet.type === 'beat') {
      peer.unconfirmed.drop(packet.seen[this.node.id] ?? 0)
      return this.stillThere(peer)
    }
    if (packet.type === 'bye') return this.gotBye(peer)
    if (!peer.isOpen) return
    if (packet.type === 'changed') return this.gotChanged(packet, peer)
    if (packet.type === 'applied') return this.gotApplied(packet, peer)
    if (packet.type === 'asked') return this.gotQuestion(packet, peer)
    this.questions.end(packet.question, packet.answer === undefined ? undefined : decodeValue(packet.answer))
  }

  // Getting to know each other: see `packets.ts`

  /** Another node has a new link, or found a hole. */
  private gotHello(hello: Hello): void {
    const peer = this.peerOf(hello)
    if (!peer) return
    this.leave(peer)
    const seen = hello.seen[this.node.id]
    // What it once had of this node, it was forgotten with.
    if (seen !== undefined && peer.isNew) peer.forgetsAll()
    const account = this.account(peer, seen ?? 0)
    this.introduced(peer, hello)
    this.send(peer, { type: 'synced', ...this.introduction, ...account, knows: peer.version, seen: peer.seen })
  }

  private gotSynced(synced: Synced): void {
    const peer = this.peerOf(synced)
    if (!peer) return
    const account = this.account(peer, synced.seen)
    this.introduced(peer, synced)
    this.send(peer, { type: 'settled', ...this.sender, ...account, knows: peer.version })
    this.take(synced, peer)
  }

  private gotSettled(settled: Settled, peer: Peer): void {
    if (peer.isOpen) this.take(settled, peer)
  }

  /** The node that introduces itself. Undefined: it speaks another format, or says it on a link that is no more. */
  private peerOf({ from, link, formats }: Hello | Synced): Peer | undefined {
    if (!speaksOurs(formats)) return undefined
    let peer = this.peers.get(from)
    if (!peer) {
      peer = new Peer(from, this.cutAt)
      this.peers.set(from, peer)
    }
    return link < peer.link ? undefined : peer
  }

  private introduced(peer: Peer, { link, name, interests, version }: Hello | Synced): void {
    peer.introduced(link, name, version)
    this.others.removeAll(peer)
    for (const interest of interests) this.others.add(interest, peer)
  }

  /** What a node has missed of this one that has its batches up to `seen`. */
  private account(peer: Peer, seen: number) {
    // What waits for the end of this turn is sent, or counted as lost.
    this.outgoing.flush()
    const lost = peer.unconfirmed.since(seen)
    return { sent: peer.sent, lost, applied: peer.version, unproven: this.outgoing.since(peer.unprovenSince) }
  }

  /** Reports what this node has missed of another, and that the other is there. */
  private take({ sent, lost, applied, unproven, knows }: Synced | Settled, peer: Peer): void {
    const isLost = lost === 'all' || (lost.length > 0 && sent > peer.seen)
    peer.seen = sent
    peer.isReady = true
    peer.isSyncing = false
    peer.applied = knows
    if (isLost || unproven.length > 0) this.events?.missed(this.own.concernedBy(isLost ? lost : [], applied, unproven))
    if (!peer.isJoined) {
      peer.isJoined = true
      this.events?.joined({ id: peer.id, name: peer.name })
    }
    this.meeting?.met(peer.id)
    this.confirm()
  }

  /** A node that was taken for gone goes on as if nothing had happened. */
  private stillThere(peer: Peer): void {
    if (!peer.isOpen && !peer.isSyncing) this.resync(peer)
  }

  /** Batches are missing: the other node says which. */
  private resync(peer: Peer): void {
    this.leave(peer)
    peer.isSyncing = true
    this.send(peer, { type: 'hello', ...this.introduction, seen: { [peer.id]: peer.seen } })
  }

  /** Waits until nodes are known that were there before this one. */
  private async meet(ids: readonly string[]): Promise<void> {
    const unknown = new Set(ids.filter((id) => !this.peers.get(id)?.isJoined))
    if (unknown.size === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, MEET_MS)
      const met = (id: string) => {
        unknown.delete(id)
        if (unknown.size > 0) return
        clearTimeout(timer)
        resolve()
      }
      this.meeting = { met }
    })
    this.meeting = undefined
  }

  /** The nodes that are there now. Rejects with `bad_config` if one of them speaks another format. */
  private async nodesThere(entries: Record<string, string>): Promise<string[]> {
    const ids = Object.keys(entries).filter((id) => id !== this.node.id)
    const listened = ids.length > 0 ? await this.link.listened(ids.map((id) => this.inboxOf(id))) : undefined
    const there = ids.filter((id) => listened?.has(this.inboxOf(id)))
    for (const id of there) {
      const { name, version, formats } = JSON.parse(entries[id] as string) as Entry
      if (speaksOurs(formats)) continue
      throw new FanfareError(
        'bad_config',
        `Node "${name}" of this cluster runs version ${version}, which speaks no format of nodes that this version speaks. Upgrade by way of a version that speaks both.`,
      )
    }
    await this.link.leave(
      this.nodesKey,
      ids.filter((id) => !there.includes(id)),
    )
    return there
  }

  // Interests

  private tellSoon(): void {
    this.telling ??= setImmediate(() => this.tellChanges())
  }

  private tellChanges(): void {
    clearImmediate(this.telling)
    this.telling = undefined
    const changes = this.own.takeChanges()
    if (changes.length > 0) this.tell({ type: 'changed', ...this.sender, version: this.own.version, changes })
  }

  private gotChanged({ version, changes }: Changed, peer: Peer): void {
    if (version > peer.version + 1) return this.resync(peer)
    if (version > peer.version) {
      for (const change of changes) {
        const name = change.slice(1)
        if (change.startsWith('+')) this.others.add(name, peer)
        else this.others.remove(name, peer)
      }
      peer.version = version
    }
    this.send(peer, { type: 'applied', ...this.sender, version })
  }

  private gotApplied({ version }: Applied, peer: Peer): void {
    peer.applied = version
    this.confirm()
  }

  /** Nodes that may send, or will in a moment. */
  private get heeded(): Peer[] {
    return [...this.peers.values()].filter((peer) => peer.isOpen || peer.isSyncing)
  }

  /** Interests stand that all of them know. */
  private confirm(): void {
    this.own.known(Math.min(...this.heeded.map((peer) => peer.applied)))
  }

  // Questions

  private gotQuestion({ question, name, params }: Asked, peer: Peer): void {
    const answer = (value?: string) => this.send(peer, { type: 'answered', ...this.sender, question, answer: value })
    this.events?.asked(name, decodeValue(params), peer.id).then(
      (value) => answer(encodeValue(value)),
      () => answer(),
    )
  }

  // Coming and going

  private async beat(): Promise<void> {
    this.link.check()
    if (!this.link.isUp) return
    const seen = Object.fromEntries([...this.peers.values()].map((peer) => [peer.id, peer.seen]))
    this.tell({ type: 'beat', ...this.sender, seen })
    this.outgoing.forget()
    const { number } = this.link
    const askedAt = performance.now()
    const peers = [...this.peers.values()]
    const [, listened] = await Promise.all([
      this.link.enter(this.nodesKey, this.node.id, this.entry).catch(() => undefined),
      this.link.listened(peers.map((peer) => this.inboxOf(peer.id))),
    ])
    if (!listened || this.link.number !== number) return
    // What came from a node meanwhile is newer than the answer.
    for (const peer of peers) this.look(peer, peer.heardAt > askedAt || listened.has(this.inboxOf(peer.id)))
  }

  /** Whether a node is still there, by its last sign of life and by whether anybody hears its inbox. */
  private look(peer: Peer, isListening: boolean): void {
    const now = performance.now()
    const isSilent = now - peer.heardAt > LAPSE_MS
    if (peer.isOpen || peer.isSyncing) {
      if (!isListening || isSilent) this.leave(peer)
      return
    }
    const awayMs = now - (peer.leftAt ?? now)
    if (awayMs < (isListening ? PAUSE_MS : RETURN_MS)) return
    // It comes back no more, or as a stranger. Its last messages may have been on their way.
    this.events?.missed(() => true)
    this.forget(peer)
  }

  private leave(peer: Peer): void {
    const wasJoined = peer.isJoined
    peer.leaves(Math.min(peer.heardAt, this.link.provenAt) - ON_ITS_WAY_MS)
    if (wasJoined) {
      this.events?.left(peer.id)
      this.questions.left(peer.id)
    }
    this.meeting?.met(peer.id)
    this.confirm()
  }

  private gotBye(peer: Peer): void {
    this.leave(peer)
    this.forget(peer)
  }

  private forget(peer: Peer): void {
    this.others.removeAll(peer)
    this.peers.delete(peer.id)
    void this.link.leave(this.nodesKey, [peer.id])
  }

  // What is said

  private tell(packet: Packet): void {
    this.link.publish(this.channels.all, encodePacket(packet))
  }

  private send(peer: Peer, packet: Packet): void {
    this.link.publish(this.inboxOf(peer.id), encodePacket(packet))
  }

  private get sender() {
    return { from: this.node.id, link: this.link.number }
  }

  /** All that others have to know of this node; what has changed just now is part of it. */
  private get introduction() {
    this.tellChanges()
    const { names, version } = this.own
    return { ...this.sender, name: this.node.name, formats: FORMATS, interests: names, version }
  }

  private get entry(): string {
    return JSON.stringify({ name: this.node.name, version, formats: FORMATS } satisfies Entry)
  }

  private inboxOf(node: string): string {
    return `${this.prefix}:node:${node}`
  }

  private get nodesKey(): string {
    return `${this.prefix}:nodes`
  }
}

/** What Redis keeps of a node. */
interface Entry {
  readonly name: string
  readonly version: string
  readonly formats: readonly [number, number]
}

function speaksOurs([oldest, newest]: readonly [number, number]): boolean {
  return oldest <= FORMATS[1] && newest >= FORMATS[0]
}
