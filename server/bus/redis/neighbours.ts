import type { Logger } from 'pino'
import { FanfareError } from '../../../shared/errors.ts'
import type { BusEvents, NodeName } from '../bus.ts'
import type { RedisLink } from './link.ts'
import type { OtherInterests } from './other-interests.ts'
import type { Outgoing } from './outgoing.ts'
import type { OwnInterests } from './own-interests.ts'
import type { Beat, Hello, Seen, Settled, Synced } from './packets.ts'
import { Peer } from './peer.ts'
import type { Channels, Speech } from './speech.ts'

/** Formats of `packets.ts` and `batches.ts` that this version speaks, from the oldest to the newest. */
const FORMATS = [1, 1] as const
/** A node that gives no sign of life for so long has left. */
const LAPSE_MS = 5_000
/**
 * How long a node whose connections are gone may come back and say what was missed of it. Then all may be missed: it has died, as far as can be
 * known. A node that lives tries to connect at least every two seconds.
 */
const RETURN_MS = 5_000
/** The same for one that does not move, but whose connections stand: it was stopped and may go on, or its machine is gone. */
const PAUSE_MS = 15_000
/**
 * How long a sign of life may have been on its way, and waited for its turn here: what was said that long before it was handled may have come before an
 * interest that the other took after it.
 */
const ON_ITS_WAY_MS = 1_000
/** How long it takes at most to get to know the nodes that are there, at the start. */
const MEET_MS = LAPSE_MS

/** What neighbours are met with. */
export interface NeighbourParts {
  readonly node: NodeName
  readonly hubVersion: string
  readonly link: RedisLink
  readonly channels: Channels
  readonly speech: Speech
  readonly own: OwnInterests
  readonly others: OtherInterests<Peer>
  readonly outgoing: Outgoing
  readonly log: Logger
  /** Says what has changed of the interests of this node. */
  tellChanges(): void
  /** A node that was there is there no more. */
  left(node: string): void
}

/** The other nodes: how they and this node get to know each other, lose each other, and account for what was lost meanwhile. */
export class Neighbours {
  events: Pick<BusEvents, 'joined' | 'missed'> | undefined = undefined
  private readonly parts: NeighbourParts
  private readonly peers = new Map<string, Peer>()
  /** When this node last lost the others. */
  private cutAt = performance.now()
  /** While this node starts: a node that was there before is known, or gone. */
  private meeting: { met(id: string): void } | undefined = undefined

  constructor(parts: NeighbourParts) {
    this.parts = parts
  }

  get(id: string): Peer | undefined {
    return this.peers.get(id)
  }

  /** Enters the list of nodes, and waits until those that are there are known. Rejects with `bad_config`. */
  async open(): Promise<void> {
    const { link, channels, node } = this.parts
    await link.enter(channels.nodes, node.id, this.entry)
    await this.meet(await this.nodesThere(await link.entries(channels.nodes)))
  }

  close(): void {
    for (const peer of this.peers.values()) this.leave(peer)
    this.peers.clear()
  }

  /** The link stands: says hello to all. */
  up(): void {
    for (const peer of this.peers.values()) {
      peer.isSyncing = true
      peer.leftAt = performance.now()
    }
    this.parts.speech.tell({ type: 'hello', ...this.introduction, seen: this.seen })
  }

  down(): void {
    this.cutAt = this.parts.link.provenAt
    for (const peer of this.peers.values()) this.leave(peer)
  }

  // Getting to know each other: see `packets.ts`

  /** Another node has a new link, or found a hole. */
  gotHello(hello: Hello): void {
    const peer = this.peerOf(hello)
    if (!peer) return
    this.part(peer)
    const [seen] = hello.seen[this.parts.node.id] ?? []
    // What it once had of this node, it was forgotten with.
    if (seen !== undefined && peer.isNew) peer.forgetsAll()
    const account = this.account(peer, seen ?? 0)
    this.introduced(peer, hello)
    this.parts.speech.send(peer.id, {
      type: 'synced',
      ...this.introduction,
      ...account,
      knows: peer.version,
      seen: peer.seen,
    })
  }

  gotSynced(synced: Synced): void {
    const peer = this.peerOf(synced)
    if (!peer) return
    const account = this.account(peer, synced.seen)
    this.introduced(peer, synced)
    this.parts.speech.send(peer.id, { type: 'settled', ...this.parts.speech.sender, ...account, knows: peer.version })
    this.take(synced, peer)
  }

  gotSettled(settled: Settled, peer: Peer): void {
    if (!peer.isOpen) return
    // It is the answer to `synced`.
    peer.isAccounted = true
    this.take(settled, peer)
  }

  /** The node that introduces itself. Undefined: it speaks another format, or says it on a link that is no more. */
  private peerOf({ from, link, name, formats }: Hello | Synced): Peer | undefined {
    if (!speaksOurs(formats)) {
      this.parts.log.warn({ node: from, name, formats }, 'ignored a node that speaks another format than this version')
      return undefined
    }
    let peer = this.peers.get(from)
    if (!peer) {
      peer = new Peer(from, this.cutAt)
      this.peers.set(from, peer)
    }
    return link < peer.link ? undefined : peer
  }

  private introduced(peer: Peer, { link, name, interests, version }: Hello | Synced): void {
    peer.introduced(link, name, version)
    this.parts.others.removeAll(peer)
    for (const interest of interests) this.parts.others.add(interest, peer)
  }

  /** What a node has missed of this one that has its batches up to `seen`. */
  private account(peer: Peer, seen: number) {
    // What waits for the end of this turn is sent, or counted as lost.
    this.parts.outgoing.flush()
    const lost = peer.unconfirmed.since(seen)
    const unproven = this.parts.outgoing.since(peer.unprovenSince)
    return { sent: peer.sent, lost, account: ++peer.account, applied: peer.provenVersion, unproven }
  }

  /** Reports what this node has missed of another, and that the other is there. */
  private take({ sent, lost, account, applied, unproven, knows }: Synced | Settled, peer: Peer): void {
    const isLost = lost === 'all' || (lost.length > 0 && sent > peer.seen)
    peer.seen = sent
    peer.seenAccount = account
    peer.isReady = true
    peer.isSyncing = false
    peer.applied = knows
    if (isLost || unproven.length > 0)
      this.events?.missed(this.parts.own.concernedBy(isLost ? lost : [], applied, unproven))
    if (!peer.isJoined) {
      peer.isJoined = true
      this.events?.joined({ id: peer.id, name: peer.name })
    }
    this.meeting?.met(peer.id)
    this.confirm()
  }

  /** A node that was taken for gone goes on as if nothing had happened. */
  stillThere(peer: Peer): void {
    if (!peer.isOpen && !peer.isSyncing) this.resync(peer)
  }

  /** Batches are missing: the other node says which. */
  resync(peer: Peer): void {
    this.part(peer)
    peer.isSyncing = true
    this.parts.speech.send(peer.id, {
      type: 'hello',
      ...this.introduction,
      seen: { [peer.id]: [peer.seen, peer.seenAccount] },
    })
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
    const ids = Object.keys(entries).filter((id) => id !== this.parts.node.id)
    const listened =
      ids.length > 0 ? await this.parts.link.listened(ids.map((id) => this.parts.channels.inboxOf(id))) : undefined
    const there = ids.filter((id) => listened?.has(this.parts.channels.inboxOf(id)))
    for (const id of there) {
      const { name, version, formats } = JSON.parse(entries[id] as string) as Entry
      if (speaksOurs(formats)) continue
      throw new FanfareError(
        'bad_config',
        `Node "${name}" of this cluster runs version ${version}, which speaks no format of nodes that this version speaks. Upgrade by way of a version that speaks both.`,
      )
    }
    await this.parts.link.leave(
      this.parts.channels.nodes,
      ids.filter((id) => !there.includes(id)),
    )
    return there
  }

  gotBeat({ seen }: Beat, peer: Peer): void {
    const [batch, account] = seen[this.parts.node.id] ?? [0, 0]
    peer.unconfirmed.drop(batch)
    if (peer.isOpen && account === peer.account) peer.isAccounted = true
    this.stillThere(peer)
  }

  // Coming and going

  /** Gives a sign of life, and looks for those of the others. */
  async beat(): Promise<void> {
    this.parts.link.check()
    if (!this.parts.link.isUp) return
    this.parts.link.proving()
    this.parts.speech.tell({ type: 'beat', ...this.parts.speech.sender, seen: this.seen })
    this.parts.outgoing.forget()
    const { number } = this.parts.link
    const askedAt = performance.now()
    const peers = [...this.peers.values()]
    const [, listened] = await Promise.all([
      this.parts.link.enter(this.parts.channels.nodes, this.parts.node.id, this.entry).catch(() => undefined),
      this.parts.link.listened(peers.map((peer) => this.parts.channels.inboxOf(peer.id))),
    ])
    if (!listened || this.parts.link.number !== number) return
    // What came from a node meanwhile is newer than the answer.
    for (const peer of peers)
      this.look(peer, peer.heardAt > askedAt || listened.has(this.parts.channels.inboxOf(peer.id)))
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

  /** A node is gone. */
  private leave(peer: Peer): void {
    this.part(peer)
    this.meeting?.met(peer.id)
  }

  /** What the two know of each other no longer holds. A node that this one waits for at the start is still waited for. */
  private part(peer: Peer): void {
    const wasJoined = peer.isJoined
    peer.leaves(Math.min(peer.heardAt, this.parts.link.provenAt) - ON_ITS_WAY_MS)
    if (wasJoined) this.parts.left(peer.id)
    this.confirm()
  }

  gotBye(peer: Peer): void {
    this.leave(peer)
    this.forget(peer)
  }

  private forget(peer: Peer): void {
    this.parts.others.removeAll(peer)
    this.peers.delete(peer.id)
    void this.parts.link.leave(this.parts.channels.nodes, [peer.id])
  }

  /** Nodes that may send, or will in a moment. */
  get heeded(): Peer[] {
    return [...this.peers.values()].filter((peer) => peer.isOpen || peer.isSyncing)
  }

  /** Interests stand that all of them know. */
  confirm(): void {
    this.parts.own.known(Math.min(...this.heeded.map((peer) => peer.applied)))
  }

  private get seen(): Seen {
    return Object.fromEntries([...this.peers.values()].map((peer) => [peer.id, [peer.seen, peer.seenAccount]]))
  }

  /** All that others have to know of this node; what has changed just now is part of it. */
  private get introduction() {
    const { tellChanges, own, speech, node } = this.parts
    tellChanges()
    return { ...speech.sender, name: node.name, formats: FORMATS, interests: own.names, version: own.version }
  }

  private get entry(): string {
    return JSON.stringify({
      name: this.parts.node.name,
      version: this.parts.hubVersion,
      formats: FORMATS,
    } satisfies Entry)
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
