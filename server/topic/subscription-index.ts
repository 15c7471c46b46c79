import type { Subscription } from './subscription.ts'

/**
 * All subscriptions in a trie of pattern words. What a match costs depends on the topic's words and on the
 * subscriptions that match, not on how many others there are.
 */
export class SubscriptionIndex {
  private readonly root = new Node(undefined, '')
  private visit = 0
  size = 0

  add(subscription: Subscription): void {
    let node = this.root
    for (const word of subscription.words) node = node.childFor(word)
    subscription.slot = node.subscriptions.push(subscription) - 1
    this.size++
  }

  remove(subscription: Subscription): void {
    let node: Node | undefined = this.root
    for (const word of subscription.words) node = node?.child(word)
    if (!node || node.subscriptions[subscription.slot] !== subscription) return
    // The last one takes the free place: order between subscribers means nothing.
    const last = node.subscriptions.pop() as Subscription
    if (last !== subscription) {
      node.subscriptions[subscription.slot] = last
      last.slot = subscription.slot
    }
    subscription.slot = -1
    this.size--
    node.prune()
  }

  /** The lists of subscriptions whose patterns match, each subscription once. Valid until the next add or remove. */
  match(topic: readonly string[]): readonly (readonly Subscription[])[] {
    const found: Subscription[][] = []
    this.visit++
    const ownTopic = topic[0]?.startsWith('$') ?? false
    if (ownTopic) {
      const child = this.root.children?.get(topic[0] as string)
      if (child) this.walk(child, topic, 1, found)
    } else {
      this.walk(this.root, topic, 0, found)
    }
    return found
  }

  private walk(node: Node, topic: readonly string[], at: number, found: Subscription[][]): void {
    if (node.hash) this.walkHash(node.hash, topic, at, found)
    if (at === topic.length) {
      if (node.subscriptions.length > 0) found.push(node.subscriptions)
      return
    }
    const child = node.children?.get(topic[at] as string)
    if (child) this.walk(child, topic, at + 1, found)
    if (node.star) this.walk(node.star, topic, at + 1, found)
  }

  // A # reached at a place goes on from there and from every later place. Which places it has gone on from in this
  // match is kept in the node: patterns such as #.a.#.a.#.a would else cost exponentially much.
  private walkHash(node: Node, topic: readonly string[], at: number, found: Subscription[][]): void {
    const end = node.visit === this.visit ? node.visitedFrom : topic.length + 1
    if (at >= end) return
    node.visit = this.visit
    node.visitedFrom = at
    for (let from = at; from < end; from++) this.walk(node, topic, from, found)
  }
}

class Node {
  readonly parent: Node | undefined
  readonly word: string
  readonly subscriptions: Subscription[] = []
  // Most nodes are leaves: a Map for each would be most of the memory of a million subscriptions.
  children: Map<string, Node> | undefined = undefined
  star: Node | undefined = undefined
  hash: Node | undefined = undefined
  visit = 0
  visitedFrom = 0

  constructor(parent: Node | undefined, word: string) {
    this.parent = parent
    this.word = word
  }

  child(word: string): Node | undefined {
    if (word === '*') return this.star
    return word === '#' ? this.hash : this.children?.get(word)
  }

  childFor(word: string): Node {
    const known = this.child(word)
    if (known) return known
    const node = new Node(this, word)
    if (word === '*') this.star = node
    else if (word === '#') this.hash = node
    else {
      this.children ??= new Map()
      this.children.set(word, node)
    }
    return node
  }

  /** Takes itself and its ancestors out of the trie while they hold nothing. */
  prune(): void {
    const empty = this.subscriptions.length === 0 && !this.children && !this.star && !this.hash
    if (!empty || !this.parent) return
    const { parent } = this
    if (this.word === '*') parent.star = undefined
    else if (this.word === '#') parent.hash = undefined
    else {
      parent.children?.delete(this.word)
      if (parent.children?.size === 0) parent.children = undefined
    }
    parent.prune()
  }
}
