/** What an index holds: something that is wanted of the topics that a pattern matches. */
export interface Indexed {
  /** Words of the canonical pattern. */
  readonly words: readonly string[]
  /** Its place in the index, owned by the index; -1 outside of one. */
  slot: number
}

/**
 * Patterns in a trie of their words. The cost of a match depends on the topic's words and on the patterns that match,
 * not on how many others there are. No pattern makes it exponential: see `walkHash`.
 */
export class PatternIndex<Entry extends Indexed> {
  private readonly root = new Node<Entry>(undefined, '')
  private visit = 0
  size = 0

  add(entry: Entry): void {
    let node = this.root
    for (const word of entry.words) node = node.childFor(word)
    entry.slot = node.entries.push(entry) - 1
    this.size++
  }

  remove(entry: Entry): void {
    let node: Node<Entry> | undefined = this.root
    for (const word of entry.words) node = node?.child(word)
    if (!node || node.entries[entry.slot] !== entry) return
    // The last one takes the free place: order between the entries means nothing.
    const last = node.entries.pop() as Entry
    if (last !== entry) {
      node.entries[entry.slot] = last
      last.slot = entry.slot
    }
    entry.slot = -1
    this.size--
    node.prune()
  }

  /**
   * The lists of entries whose patterns match a topic, each entry once. For the words of a pattern: those whose patterns
   * cover it, as `isCovered` has it. Valid until the next add or remove.
   */
  match(words: readonly string[]): readonly (readonly Entry[])[] {
    const found: Entry[][] = []
    this.visit++
    const ofHub = words[0]?.startsWith('$') ?? false
    if (ofHub) {
      const child = this.root.literal(words[0] as string)
      if (child) this.walk(child, words, 1, found)
    } else {
      this.walk(this.root, words, 0, found)
    }
    return found
  }

  /** Whether a pattern can match a topic that begins with these words and goes on. The first word begins with a `$`. */
  matchesBelow([first = '', ...rest]: readonly string[]): boolean {
    let nodes = definedOf([this.root.literal(first)])
    for (const word of rest) {
      if (nodes.some(({ hash }) => hash)) return true
      nodes = definedOf(nodes.flatMap((node) => [node.literal(word), node.star]))
    }
    return nodes.some(({ only, children, star, hash }) => only || children || star || hash)
  }

  private walk(node: Node<Entry>, words: readonly string[], at: number, found: Entry[][]): void {
    if (node.hash) this.walkHash(node.hash, words, at, found)
    if (at === words.length) {
      if (node.entries.length > 0) found.push(node.entries)
      return
    }
    const word = words[at] as string
    const child = node.literal(word)
    if (child) this.walk(child, words, at + 1, found)
    // The # of a pattern may be no word, or several.
    if (node.star && word !== '#') this.walk(node.star, words, at + 1, found)
  }

  // A # reached at a place goes on from there and from every later place. Which places it has gone on from in this
  // match is kept in the node: patterns such as #.a.#.a.#.a would otherwise cost exponentially much.
  private walkHash(node: Node<Entry>, words: readonly string[], at: number, found: Entry[][]): void {
    const end = node.visit === this.visit ? node.visitedFrom : words.length + 1
    if (at >= end) return
    node.visit = this.visit
    node.visitedFrom = at
    for (let from = at; from < end; from++) this.walk(node, words, from, found)
  }
}

class Node<Entry extends Indexed> {
  readonly parent: Node<Entry> | undefined
  readonly word: string
  readonly entries: Entry[] = []
  // Nearly all nodes have one child or none: a Map for each would be most of the memory of a million subscriptions.
  only: Node<Entry> | undefined = undefined
  /** From the second child on, all of them. */
  children: Map<string, Node<Entry>> | undefined = undefined
  star: Node<Entry> | undefined = undefined
  hash: Node<Entry> | undefined = undefined
  visit = 0
  visitedFrom = 0

  constructor(parent: Node<Entry> | undefined, word: string) {
    this.parent = parent
    this.word = word
  }

  child(word: string): Node<Entry> | undefined {
    if (word === '*') return this.star
    return word === '#' ? this.hash : this.literal(word)
  }

  literal(word: string): Node<Entry> | undefined {
    return this.only ? (this.only.word === word ? this.only : undefined) : this.children?.get(word)
  }

  childFor(word: string): Node<Entry> {
    const known = this.child(word)
    if (known) return known
    const node = new Node<Entry>(this, word)
    if (word === '*') this.star = node
    else if (word === '#') this.hash = node
    else if (this.only) {
      this.children = new Map([this.only, node].map((child) => [child.word, child]))
      this.only = undefined
    } else if (this.children) this.children.set(word, node)
    else this.only = node
    return node
  }

  /** Takes itself and its ancestors out of the trie while they hold nothing. */
  prune(): void {
    const empty = this.entries.length === 0 && !this.only && !this.children && !this.star && !this.hash
    if (!empty || !this.parent) return
    const { parent } = this
    if (this.word === '*') parent.star = undefined
    else if (this.word === '#') parent.hash = undefined
    else if (parent.only) parent.only = undefined
    else {
      parent.children?.delete(this.word)
      if (parent.children?.size === 0) parent.children = undefined
    }
    parent.prune()
  }
}

function definedOf<Item>(items: readonly (Item | undefined)[]): Item[] {
  return items.filter((item) => item !== undefined)
}
