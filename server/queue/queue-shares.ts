import type { QueueRates } from '../../shared/queues.ts'
import type { Nodes } from '../bus/nodes.ts'
import type { QueueShare, QueueShareRow, ToldShares } from '../bus/questions.ts'

const NOTHING: QueueShare = { consumers: 0, busy: 0, timedOut: 0, waiting: 0, waitingBytes: 0 }
const FIGURES = Object.keys(NOTHING) as (keyof QueueShare)[]

interface OtherNode {
  since: number
  readonly rows: Map<string, { readonly share: QueueShare; readonly rates: QueueRates | undefined }>
}

/**
 * What each node has of the queues that all share: its consumers, and publishes that wait there. Nodes report changes to one another once a second, so each of
 * them shows the same sums. All show the rates that the oldest one has computed: it has seen most of how fast consumers are.
 */
export class QueueShares {
  private readonly nodes: Nodes
  private readonly since: number
  private readonly others = new Map<string, OtherNode>()
  /** Timed out at nodes that have left, by queue. */
  private readonly departed = new Map<string, number>()
  /** The last row of each queue that the others have got. */
  private readonly told = new Map<string, string>()
  /** The others have to forget what they got before. */
  private isWhole = true
  private changed: QueueShareRow[] = []

  /** `since`: when this node started. */
  constructor(nodes: Nodes, since: number) {
    this.nodes = nodes
    this.since = since
    nodes.answer('queues.shares', (told, from) => this.heard(told, from))
  }

  /** No other node is there now. */
  get alone(): boolean {
    return this.nodes.alone
  }

  /** What the other nodes have of a queue. */
  elsewhere(queue: string): QueueShare {
    if (this.others.size + this.departed.size === 0) return NOTHING
    const sum = { ...NOTHING, timedOut: this.departed.get(queue) ?? 0 }
    for (const { rows } of this.others.values()) {
      const share = rows.get(queue)?.share
      if (share) for (const figure of FIGURES) sum[figure] += share[figure]
    }
    return sum
  }

  /** The rates of a queue, if this node has computed `own`. */
  rates(queue: string, own: QueueRates): QueueRates {
    return this.oldest?.rows.get(queue)?.rates ?? own
  }

  /** This node has these figures now. */
  has(queue: string, share: QueueShare, rates: QueueRates): void {
    const row: QueueShareRow = this.oldest ? [queue, share] : [queue, share, rates]
    const text = JSON.stringify(row.slice(1))
    const before = this.told.get(queue)
    if (text === before || (before === undefined && isNothing(row))) return
    this.told.set(queue, text)
    this.changed.push(row)
  }

  /** Reports to the other nodes what has changed. */
  async report(): Promise<void> {
    const { changed: rows, isWhole, since } = this
    if (this.nodes.alone || (rows.length === 0 && !isWhole)) return
    this.changed = []
    this.isWhole = false
    const answers = await this.nodes.askEachOther('queues.shares', { since, isWhole, rows })
    if (answers.some(({ answer }) => answer !== true)) this.joined()
  }

  /** A node has joined, or does not have everything: all get everything again. */
  joined(): void {
    this.told.clear()
    this.changed = []
    this.isWhole = true
  }

  left(node: string): void {
    for (const [queue, { share }] of this.others.get(node)?.rows ?? []) {
      if (share.timedOut > 0) this.departed.set(queue, (this.departed.get(queue) ?? 0) + share.timedOut)
    }
    this.others.delete(node)
  }

  forget(queue: string): void {
    this.told.delete(queue)
    this.departed.delete(queue)
    for (const { rows } of this.others.values()) rows.delete(queue)
  }

  /** Answers whether it has been taken. */
  private heard({ since, isWhole, rows }: ToldShares, from: string): boolean {
    if (!this.nodes.has(from)) return false
    let other = this.others.get(from)
    if (!other || isWhole) {
      other = { since, rows: new Map() }
      this.others.set(from, other)
    }
    for (const [queue, share, rates] of rows) other.rows.set(queue, { share, rates })
    return true
  }

  /** The oldest node, if that is another one. */
  private get oldest(): OtherNode | undefined {
    let [oldest, id, since]: [OtherNode | undefined, string, number] = [undefined, this.nodes.own.id, this.since]
    for (const [each, other] of this.others) {
      if (other.since > since || (other.since === since && each > id)) continue
      ;[oldest, id, since] = [other, each, other.since]
    }
    return oldest
  }
}

function isNothing([, share, rates]: QueueShareRow): boolean {
  return FIGURES.every((figure) => share[figure] === 0) && (!rates || !Object.values(rates).some(Boolean))
}
