import { Buffer } from 'node:buffer'
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

/*
 * LMDB maps its file into memory and follows its pointers: a damaged page in its tree ends the process with a signal, at once or
 * whenever something is read there. So the tree is checked before LMDB opens the file.
 *
 * Values are not checked, which makes the check fast: most of a database consists of separate pages that hold one block of messages
 * each, and blocks have checksums. The layout is that of the LMDB that the package lmdb 3.5 includes, on a 64-bit little-endian
 * machine.
 */

const MAGIC = 0xbeefc0de
const HEADER_BYTES = 24
const IS_BRANCH = 1
const IS_LEAF = 2
const IS_META = 8
const NO_PAGE = 0xffff_ffff_ffff_ffffn
const NODE_BYTES = 8
/** Flag of a node whose value is in separate pages; the node holds their number, transaction and count. */
const IS_BIG = 1
const BIG_BYTES = 24

/**
 * Maximum number of leaf pages read. Only streams that received their messages one at a time have more (half a million messages),
 * and checking them would take longer than a start may. For the rest, only the existence of the pages is checked.
 */
const MOST_LEAVES = 50_000

/** A tree in the file: free pages or data. */
interface Tree {
  readonly root: bigint
  readonly depth: number
}

/** Whether it is safe to let LMDB open a file; throws errors of the file system. */
export function isDatabaseIntact(name: string): boolean {
  const file = openSync(name, 'r')
  try {
    return new DatabaseCheck(file).run()
  } finally {
    closeSync(file)
  }
}

class DatabaseCheck {
  private readonly file: number
  private readonly bytes: number
  private pageBytes = 4096
  private page = Buffer.alloc(4096)
  private leaves = 0

  constructor(file: number) {
    this.file = file
    this.bytes = fstatSync(file).size
  }

  run(): boolean {
    const trees = this.readMetas()
    return trees?.every((tree) => tree.root === NO_PAGE || this.isTreeIntact(tree)) ?? false
  }

  /** The trees listed in the newer one of the two meta pages. */
  private readMetas(): readonly Tree[] | undefined {
    let newest = -1n
    let trees: readonly Tree[] | undefined
    for (const at of [0, 1]) {
      if (!this.read(at) || (this.page.readUInt16LE(18) & IS_META) === 0) return undefined
      const meta = this.page.subarray(HEADER_BYTES)
      if (meta.readUInt32LE(0) !== MAGIC) return undefined
      // The page size is stored where the tree of free pages would have padding.
      const pageBytes = meta.readUInt32LE(24)
      if (at === 0) this.usePages(pageBytes)
      if (pageBytes !== this.pageBytes) return undefined
      const transaction = meta.readBigUInt64LE(128)
      if (transaction <= newest) continue
      newest = transaction
      trees = [treeAt(meta, 24), treeAt(meta, 72)]
    }
    return trees
  }

  private usePages(bytes: number): void {
    if (bytes < 512 || bytes > 65_536 || (bytes & (bytes - 1)) !== 0) return
    this.pageBytes = bytes
    this.page = Buffer.alloc(bytes)
  }

  /** Level by level, so that what is skipped because there is too much consists of leaves. */
  private isTreeIntact({ root, depth }: Tree): boolean {
    let level = [Number(root)]
    for (let left = depth; left > 1; left--) {
      const below: number[] = []
      for (const at of level) {
        if (!this.read(at) || !this.isPage(at, IS_BRANCH) || !this.addChildren(below)) return false
      }
      level = below
    }
    for (const at of level) {
      if (this.leaves++ >= MOST_LEAVES) return true
      if (!this.read(at) || !this.isPage(at, IS_LEAF) || !this.isLeafIntact()) return false
    }
    return true
  }

  private isPage(at: number, kind: number): boolean {
    const { page } = this
    const lower = page.readUInt16LE(20)
    const upper = page.readUInt16LE(22)
    const fits = lower > 0 && lower % 2 === 0 && lower <= upper && upper <= this.pageBytes - HEADER_BYTES
    return page.readBigUInt64LE(0) === BigInt(at) && page.readUInt16LE(18) === kind && fits
  }

  private *nodes(): Iterable<number> {
    const lower = this.page.readUInt16LE(20)
    const upper = this.page.readUInt16LE(22)
    for (let at = HEADER_BYTES; at < HEADER_BYTES + lower; at += 2) {
      const node = this.page.readUInt16LE(at)
      const fits = node >= upper && HEADER_BYTES + node + NODE_BYTES <= this.pageBytes
      yield fits ? HEADER_BYTES + node : -1
    }
  }

  private addChildren(below: number[]): boolean {
    const { page } = this
    for (const node of this.nodes()) {
      if (node < 0 || node + NODE_BYTES + page.readUInt16LE(node + 6) > this.pageBytes) return false
      const child = page.readUInt32LE(node) + page.readUInt16LE(node + 4) * 2 ** 32
      if (!this.holds(child, 1)) return false
      below.push(child)
    }
    return true
  }

  private isLeafIntact(): boolean {
    const { page } = this
    for (const node of this.nodes()) {
      if (node < 0) return false
      const flags = page.readUInt16LE(node + 4)
      const valueAt = node + NODE_BYTES + page.readUInt16LE(node + 6)
      const valueBytes = page.readUInt32LE(node)
      const big = flags === IS_BIG
      if (flags > IS_BIG || valueAt + (big ? BIG_BYTES : valueBytes) > this.pageBytes) return false
      if (big && !this.isBigIntact(valueAt, valueBytes)) return false
    }
    return true
  }

  private isBigIntact(at: number, valueBytes: number): boolean {
    const first = Number(this.page.readBigUInt64LE(at))
    const pages = Number(this.page.readBigUInt64LE(at + 16))
    return pages === Math.ceil((HEADER_BYTES + valueBytes) / this.pageBytes) && this.holds(first, pages)
  }

  /** Whether these pages exist. The first two are not part of a tree. */
  private holds(first: number, pages: number): boolean {
    return first >= 2 && (first + pages) * this.pageBytes <= this.bytes
  }

  private read(at: number): boolean {
    if ((at + 1) * this.pageBytes > this.bytes) return false
    return readSync(this.file, this.page, 0, this.pageBytes, at * this.pageBytes) === this.pageBytes
  }
}

function treeAt(meta: Buffer, at: number): Tree {
  return { depth: meta.readUInt16LE(at + 6), root: meta.readBigUInt64LE(at + 40) }
}
