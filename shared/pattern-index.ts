/** What an index holds: something that is wanted of the topics that a pattern matches. */
export interface Indexed {
  /** Words of the canonical pattern. */
  readonly words: readonly string[]
  /** Its place in the index, owned by the index; -1 outside of one. */
  slot: number
}

/**
 * Patterns in a trie of their words. The cost of a match depends on the topic's words and on the patterns that match,
 * not on how many others there are. No pattern makes it exponential: see `walkHash`. Nodes below which no pattern has the
 * right number of words are not looked at: see `Node.rests`.
 */
export class PatternIndex<Entry extends Indexed> {
  private readonly root = new Node<Entry>(undefined, '')
  private visit = 0
  size = 0

  add(entry: Entry): void {
    let node = this.root
    for (const word of entry.words) node = node.childFor(word)
    entry.slot = node.entries.push(entry) - 1
    node.fitsLater(HERE)
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
    if (node.entries.length === 0) node.prune()
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
    const rest = words.length - at - 1
    if (child?.fits(rest)) this.walk(child, words, at + 1, found)
    // The # of a pattern may be no word, or several.
    if (word !== '#' && node.star?.fits(rest)) this.walk(node.star, words, at + 1, found)
  }

  // A # reached at a place goes on from there and from every later place. Which places it has gone on from in this
  // match is kept in the node: patterns such as #.a.#.a.#.a would otherwise cost exponentially much.
  private walkHash(node: Node<Entry>, words: readonly string[], at: number, found: Entry[][]): void {
    const end = node.visit === this.visit ? node.visitedFrom : words.length + 1
    if (at >= end) return
    node.visit = this.visit
    node.visitedFrom = at
    for (let from = at; from < end; from++) {
      if (node.fits(words.length - from)) this.walk(node, words, from, found)
    }
  }
}

/** The number of words that a node has room for if it has entries: none. */
const HERE = 1
/** Room for more words than this has no bit. */
const BITS = 32
/** With more children than this a node does not ask them again what there is room for. */
const FEW = 8

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
  /** Bit n is set if a pattern of this subtree may match n more words. Some stay set after a removal, which only costs time. */
  private rests = 0

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

  /** Whether a pattern of this subtree may match this many more words. */
  fits(words: number): boolean {
    return words >= BITS || ((this.rests >>> words) & 1) === 1
  }

  /** A pattern has come that may match these numbers of words from here on. */
  fitsLater(rests: number): void {
    if ((this.rests | rests) === this.rests) return
    this.rests |= rests
    this.parent?.fitsLater(this.restsBefore)
  }

  /**
   * Takes itself and its ancestors out of the trie while they hold nothing. What is left knows again what it has room for, unless
   * it has many children: they would have to be asked each time.
   */
  prune(): void {
    const empty = this.entries.length === 0 && !this.only && !this.children && !this.star && !this.hash
    if (!empty || !this.parent) return this.recount()
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

  private recount(): void {
    const { only, children, star, hash } = this
    if (children && children.size > FEW) return
    let rests = this.entries.length > 0 ? HERE : 0
    for (const child of definedOf([only, ...(children?.values() ?? []), star, hash])) rests |= child.restsBefore
    if (rests === this.rests) return
    this.rests = rests
    this.parent?.recount()
  }

  /** The same for the node before it: a # may take any number of words. */
  private get restsBefore(): number {
    return this.word === '#' ? -(this.rests & -this.rests) : this.rests << 1
  }
}

function definedOf<Item>(items: readonly (Item | undefined)[]): Item[] {
  return items.filter((item) => item !== undefined)
}
