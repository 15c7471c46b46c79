import { type Indexed, PatternIndex } from '../../../shared/pattern-index.ts'

/** Topics whose nodes are remembered until interests change. */
const MAX_KNOWN_TOPICS = 10_000

interface Interest<Node> extends Indexed {
  readonly nodes: Set<Node>
}

const NONE: readonly never[] = []

/** What other nodes have an interest in. */
export class OtherInterests<Node extends { readonly interests: Set<string> }> {
  private readonly index = new PatternIndex<Interest<Node>>()
  private readonly byName = new Map<string, Interest<Node>>()
  private readonly nodesOf = new Map<string, readonly Node[]>()

  add(name: string, node: Node): void {
    if (node.interests.has(name)) return
    node.interests.add(name)
    let interest = this.byName.get(name)
    if (!interest) {
      interest = { words: name.split('.'), nodes: new Set(), slot: -1 }
      this.byName.set(name, interest)
      this.index.add(interest)
    }
    interest.nodes.add(node)
    this.nodesOf.clear()
  }

  remove(name: string, node: Node): void {
    const interest = this.byName.get(name)
    if (!interest || !node.interests.delete(name)) return
    interest.nodes.delete(node)
    this.nodesOf.clear()
    if (interest.nodes.size > 0) return
    this.byName.delete(name)
    this.index.remove(interest)
  }

  removeAll(node: Node): void {
    for (const name of [...node.interests]) this.remove(name, node)
  }

  /** Nodes with an interest in a topic. */
  of(topic: string): readonly Node[] {
    const known = this.nodesOf.get(topic)
    if (known) return known
    const nodes = new Set<Node>()
    for (const list of this.index.match(topic.split('.'))) {
      for (const interest of list) for (const node of interest.nodes) nodes.add(node)
    }
    if (this.nodesOf.size >= MAX_KNOWN_TOPICS) this.nodesOf.clear()
    const found = nodes.size === 0 ? NONE : [...nodes]
    this.nodesOf.set(topic, found)
    return found
  }
}
