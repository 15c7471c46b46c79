import type { Bus, BusEvents, LiveMessage, NodeName } from '../../server/bus/bus.ts'
import { matchesPattern } from '../../shared/topic.ts'
import { liveMessage } from './buses.ts'

const END = 'end'

interface Published {
  readonly at: number
  readonly by: HistoryNode
  readonly topic: string
  readonly number: number
}

interface Stood {
  readonly pattern: string
  readonly from: number
  until: number
}

/** What happened on several buses of one process, in its order; and what of it no bus may do. */
export class BusHistory {
  private readonly nodes: HistoryNode[] = []
  private readonly published = new Map<string, Published>()
  private moment = 0

  async add(bus: Bus): Promise<HistoryNode> {
    const node = new HistoryNode(bus, this)
    await bus.open(node)
    this.nodes.push(node)
    await node.subscribe(END)
    return node
  }

  now(): number {
    return ++this.moment
  }

  publishedBy(by: HistoryNode, topic: string, number: number): LiveMessage {
    const id = `${by.bus.node.id}-${number}`
    this.published.set(id, { at: this.now(), by, topic, number })
    return liveMessage(topic, number, id)
  }

  /** Resolves when all nodes know each other, and have the last message of each other. */
  async settled(): Promise<void> {
    const others = this.nodes.length - 1
    for (const node of this.nodes) while (node.joinedNodes.size < others) await passed(10)
    do {
      for (const node of this.nodes) node.publish(END)
      for (let waits = 0; waits < 100 && !this.isQuiet; waits++) await passed(10)
    } while (!this.isQuiet)
  }

  /** Nothing is on its way. */
  private get isQuiet(): boolean {
    return this.nodes.every((node) => this.nodes.every((other) => node === other || node.hasLastOf(other)))
  }

  /** `quiet`: a pattern that no topic matches, on which no loss may be reported. */
  faults(quiet: string | undefined): string[] {
    return this.nodes.flatMap((node) => [
      ...this.disordered(node),
      ...this.silentlyLost(node),
      ...(quiet === undefined ? [] : baseless(node, quiet)),
    ])
  }

  /** What came to a node twice, or after something that was published later. */
  private *disordered(node: HistoryNode): Iterable<string> {
    const last = new Map<HistoryNode, number>()
    for (const { id } of node.received) {
      const { by, number } = this.published.get(id) as Published
      const before = last.get(by) ?? 0
      if (number <= before) yield `${id} came after ${before}`
      last.set(by, number)
    }
  }

  /** What a node had an interest in and did not get, with no report of a loss before the next message of the same publisher. */
  private *silentlyLost(node: HistoryNode): Iterable<string> {
    const got = new Set(node.received.map(({ id }) => id))
    for (const [id, { at, by, topic, number }] of this.published) {
      if (by === node || got.has(id)) continue
      const words = topic.split('.')
      const next = node.received.find((one) => {
        const other = this.published.get(one.id) as Published
        return other.by === by && other.number > number
      })
      for (const stood of node.stood) {
        if (at < stood.from || at > stood.until || !matchesPattern(stood.pattern.split('.'), words)) continue
        const isTold = node.losses.some(
          (loss) => loss.at > at && loss.at < (next?.at ?? Number.POSITIVE_INFINITY) && loss.concerns(stood.pattern),
        )
        if (!isTold && stood.until === Number.POSITIVE_INFINITY) yield `${id} on ${topic} is lost for ${stood.pattern}`
      }
    }
  }
}

function baseless(node: HistoryNode, quiet: string): string[] {
  return node.losses.some(({ concerns }) => concerns(quiet)) ? [`a loss on ${quiet}`] : []
}

/** A node whose history is kept. */
export class HistoryNode implements BusEvents {
  readonly bus: Bus
  readonly received: { readonly id: string; readonly at: number }[] = []
  readonly losses: { readonly at: number; concerns(pattern: string): boolean }[] = []
  readonly stood: Stood[] = []
  readonly joinedNodes = new Set<string>()
  /** The last message of each node on the topic of the end. */
  private readonly ends = new Map<string, string>()
  private readonly history: BusHistory
  private last = 0

  constructor(bus: Bus, history: BusHistory) {
    this.bus = bus
    this.history = history
  }

  publish(topic: string): void {
    this.bus.publish(this.history.publishedBy(this, topic, ++this.last))
  }

  hasLastOf(other: HistoryNode): boolean {
    const { id } = other.bus.node
    return this.ends.get(id) === `${id}-${other.last}`
  }

  async subscribe(pattern: string): Promise<void> {
    await this.bus.subscribe(pattern.split('.'))
    this.stood.push({ pattern, from: this.history.now(), until: Number.POSITIVE_INFINITY })
  }

  /** Ends one of its interests, if it has one that stands. `random`: from 0 up to 1. */
  unsubscribe(random: number): void {
    const standing = this.stood.filter(
      ({ pattern, until }) => until === Number.POSITIVE_INFINITY && /^[abc#]/.test(pattern),
    )
    const stood = standing[Math.floor(random * standing.length)]
    if (!stood) return
    stood.until = this.history.now()
    this.bus.unsubscribe(stood.pattern.split('.'))
  }

  messages(batch: readonly LiveMessage[]): void {
    for (const { id, topic } of batch) {
      this.received.push({ id, at: this.history.now() })
      if (topic === END) this.ends.set(id.split('-')[0] as string, id)
    }
  }

  missed(concerns: (pattern: readonly string[]) => boolean): void {
    const patterns = new Map<string, boolean>()
    for (const { pattern } of this.stood) patterns.set(pattern, concerns(pattern.split('.')))
    this.losses.push({ at: this.history.now(), concerns: (pattern) => patterns.get(pattern) ?? false })
  }

  joined(node: NodeName): void {
    this.joinedNodes.add(node.id)
  }

  left(node: string): void {
    this.joinedNodes.delete(node)
  }

  async asked(): Promise<null> {
    return null
  }
}

function passed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
