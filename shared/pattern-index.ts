import { matchesPattern } from './topic.ts'

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
 *
 * Only words that several patterns begin with have a node each. What follows them in a single pattern is that pattern's
 * *tail*: one node, which is compared as a whole. Otherwise nodes would take up most of the memory of long patterns.
 *
 * Nodes below which no pattern has the right number of words are not looked at: see `Node.rests`.
 */
export class PatternIndex<Entry extends Indexed> {
  private readonly root = new Node<Entry>('')
  private visit = 0
  size = 0

  add(entry: Entry): void {
    entry.slot = this.nodeFor(entry.words).push(entry)
    this.size++
  }

  remove(entry: Entry): void {
    if (this.removeBelow(this.root, entry, 0)) this.size--
  }

  /**
   * The lists of entries whose patterns match a topic, each entry once. For the words of a pattern: those whose patterns
   * cover it in the sense of `isCovered`. Valid until the next add or remove.
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

  /** Every entry, in no order. Valid until the next add or remove. */
  *entries(): Iterable<Entry> {
    const open = [this.root]
    for (let node = open.pop(); node; node = open.pop()) {
      yield* node.entries ?? []
      for (const child of node.below) open.push(child)
    }
  }

  /** Whether a pattern can match a topic that begins with these words and goes on. The first word begins with a `$`. */
  matchesBelow(words: readonly string[]): boolean {
    let nodes = definedOf([this.root.literal(words[0] ?? '')])
    for (let at = 1; at < words.length; at++) {
      if (nodes.some((node) => node.next('#', at))) return true
      nodes = definedOf(nodes.flatMap((node) => [node.next(words[at] as string, at), node.next('*', at)]))
    }
    return nodes.some((node) => node.goesOn(words.length))
  }

  /** The node for the entries of a pattern; makes the ones that are missing. */
  private nodeFor(words: readonly string[]): Node<Entry> {
    let node = this.root
    const rests = restsOf(words)
    for (let at = 1; at <= words.length; at++) {
      const word = words[at - 1] as string
      const known = node.child(word)
      node = known ?? node.grow(word, at < words.length ? words : undefined)
      node.rests |= rests[at] as number
      if (!known) return node
      if (node.tail && haveSameWords(node.tail, words)) return node
      node.expand(at)
    }
    return node
  }

  /** False: it is not in there. */
  private removeBelow(node: Node<Entry>, entry: Entry, at: number): boolean {
    const word = entry.words[at]
    if (node.tail || word === undefined) return node.take(entry)
    const child = node.child(word)
    if (!child || !this.removeBelow(child, entry, at + 1)) return false
    if (child.isEmpty) node.drop(word)
    node.recount()
    return true
  }

  private walk(node: Node<Entry>, words: readonly string[], at: number, found: Entry[][]): void {
    if (node.tail) return this.matchTail(node, node.tail, words, found)
    if (node.hash) this.walkHash(node.hash, words, at, found)
    if (at === words.length) {
      if (node.entries) found.push(node.entries)
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
    if (node.tail) return this.matchTail(node, node.tail, words, found)
    const end = node.visit === this.visit ? node.visitedFrom : words.length + 1
    if (at >= end) return
    node.visit = this.visit
    node.visitedFrom = at
    for (let from = at; from < end; from++) {
      if (node.fits(words.length - from)) this.walk(node, words, from, found)
    }
  }

  // Once in a match, however many ways of a # lead to it: the whole pattern is compared.
  private matchTail(node: Node<Entry>, tail: readonly string[], words: readonly string[], found: Entry[][]): void {
    if (node.visit === this.visit) return
    node.visit = this.visit
    if (node.entries && matchesPattern(tail, words)) found.push(node.entries)
  }
}

/** `Node.rests` of a node where patterns end. */
const HERE = 1
/** More words than this have no bit. */
const BITS = 32
/** Children of a node that are asked again after a removal. */
const FEW = 8

/** The numbers of words that a pattern may match from each of its places on, as `Node.rests` has them. */
function restsOf(words: readonly string[]): number[] {
  const rests = [HERE]
  for (let at = words.length - 1; at >= 0; at--) rests.push(before(words[at] as string, rests.at(-1) as number))
  return rests.reverse()
}

/** The same with one word more: a # takes any number of words. */
function before(word: string, rests: number): number {
  return word === '#' ? -(rests & -rests) : rests << 1
}

class Node<Entry extends Indexed> {
  readonly word: string
  /** The whole pattern of the entries, if it goes on from here and no other pattern does. The node has no children then. */
  tail: readonly string[] | undefined
  /** Those whose pattern ends here, or is the tail. */
  entries: Entry[] | undefined = undefined
  // Nearly all nodes have one child or none: a Map for each would be most of the memory of a million subscriptions.
  only: Node<Entry> | undefined = undefined
  /** From the second child on, all of them. */
  children: Map<string, Node<Entry>> | undefined = undefined
  star: Node<Entry> | undefined = undefined
  hash: Node<Entry> | undefined = undefined
  visit = 0
  visitedFrom = 0
  /** Bit n is set if a pattern of this node may match n more words. Some stay set after a removal, which only costs time. */
  rests = 0

  constructor(word: string, tail?: readonly string[]) {
    this.word = word
    this.tail = tail
  }

  get isEmpty(): boolean {
    return !this.entries && !this.hasChildren
  }

  private get hasChildren(): boolean {
    return (this.only ?? this.children ?? this.star ?? this.hash) !== undefined
  }

  /** All of its children. */
  get below(): Node<Entry>[] {
    const { only, children, star, hash } = this
    return definedOf([only, ...(children?.values() ?? []), star, hash])
  }

  child(word: string): Node<Entry> | undefined {
    if (word === '*') return this.star
    return word === '#' ? this.hash : this.literal(word)
  }

  literal(word: string): Node<Entry> | undefined {
    return this.only ? (this.only.word === word ? this.only : undefined) : this.children?.get(word)
  }

  /** The node for a word that patterns have at this place: a tail is one node for all of its words. */
  next(word: string, at: number): Node<Entry> | undefined {
    if (!this.tail) return this.child(word)
    return this.tail[at] === word ? this : undefined
  }

  /** Whether patterns have a word at this place. */
  goesOn(at: number): boolean {
    return this.tail ? at < this.tail.length : this.hasChildren
  }

  push(entry: Entry): number {
    // A list with one entry: `push` would make room for 17.
    if (!this.entries) this.entries = [entry]
    else this.entries.push(entry)
    return this.entries.length - 1
  }

  /** Takes an entry out. False: it is not in here. */
  take(entry: Entry): boolean {
    const { entries } = this
    if (entries?.[entry.slot] !== entry) return false
    // The last one takes the free place: order between the entries means nothing.
    const last = entries.pop() as Entry
    if (last !== entry) {
      entries[entry.slot] = last
      last.slot = entry.slot
    }
    entry.slot = -1
    if (entries.length > 0) return true
    this.entries = undefined
    this.recount()
    return true
  }

  /** Adds a child. */
  grow(word: string, tail: readonly string[] | undefined): Node<Entry> {
    const node = new Node<Entry>(word, tail)
    if (word === '*') this.star = node
    else if (word === '#') this.hash = node
    else if (this.only) {
      this.children = new Map([this.only, node].map((child) => [child.word, child]))
      this.only = undefined
    } else if (this.children) this.children.set(word, node)
    else this.only = node
    return node
  }

  /** Another pattern goes on from here, or ends here: the tail moves into a child. `at` is the place of the child's word. */
  expand(at: number): void {
    const { tail, entries } = this
    if (!tail) return
    this.tail = undefined
    this.entries = undefined
    const child = this.grow(tail[at] as string, at + 1 < tail.length ? tail : undefined)
    child.entries = entries
    child.rests = restsOf(tail)[at + 1] as number
  }

  /** Whether a pattern of this node may match this many more words. */
  fits(words: number): boolean {
    return words >= BITS || ((this.rests >>> words) & 1) === 1
  }

  /** Call when patterns of this node have gone. With many children, they would have to be asked each time: then it keeps what it has. */
  recount(): void {
    if (this.tail || (this.children && this.children.size > FEW)) return
    this.rests = this.entries ? HERE : 0
    for (const child of this.below) {
      this.rests |= before(child.word, child.rests)
    }
  }

  /** Removes a child. */
  drop(word: string): void {
    if (word === '*') this.star = undefined
    else if (word === '#') this.hash = undefined
    else if (this.only) this.only = undefined
    else {
      this.children?.delete(word)
      if (this.children?.size === 0) this.children = undefined
    }
  }
}

function haveSameWords(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((word, at) => word === b[at])
}

function definedOf<Item>(items: readonly (Item | undefined)[]): Item[] {
  return items.filter((item) => item !== undefined)
}
