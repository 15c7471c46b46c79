import { PAGE_BYTES } from './database-file.ts'
import type { Change, Key } from './store.ts'

/** The sizes of LMDB's two trees in pages: records, and lists of free pages. */
interface TreeSizes {
  readonly treeBranchPageCount: number
  readonly treeLeafPageCount: number
  readonly free: {
    readonly treeBranchPageCount: number
    readonly treeLeafPageCount: number
    readonly overflowPages: number
  }
}

/** Values of this size and larger have pages of their own; see `me_nodemax` in LMDB. */
const LARGE_VALUE_BYTES = 1900
const HEADER_BYTES = 24
const NODE_BYTES = 32
/** Size of an entry in a list of free pages for a removed value. */
const FREED_BYTES = 16
/** The roots, a new level of each tree, and what LMDB writes for its own list of pages that this commit frees. */
const FIXED_PAGES = 24
/** A page that splits is left with at least a quarter of its space, which new records have to fill first. */
const BYTES_PER_SPLIT = PAGE_BYTES / 4

/**
 * The maximum number of pages that a commit may take. LMDB never changes a page in place: every page on the way to a record is
 * rewritten elsewhere, whether something is put there or removed. `places` is the number of places in the tree that the commit
 * changes.
 */
export function pagesNeeded(changes: readonly Change[], trees: TreeSizes, places = changes.length): number {
  let pages = FIXED_PAGES
  let added = 0
  let freed = 0
  for (const { key, value } of changes) {
    freed += FREED_BYTES
    if (value === undefined) continue
    added += NODE_BYTES
    for (const part of key) added += typeof part === 'string' ? part.length * 3 + 2 : 9
    if (value.length < LARGE_VALUE_BYTES) added += value.length
    else pages += Math.ceil((value.length + HEADER_BYTES) / PAGE_BYTES)
  }
  // A page that becomes too empty is merged with its neighbour, which is rewritten too.
  const leaves = 2 * Math.min(places, trees.treeLeafPageCount + 1)
  const branches = Math.min(trees.treeBranchPageCount, 3 * leaves) + 2
  const { treeBranchPageCount, treeLeafPageCount, overflowPages } = trees.free
  const freeLists = treeBranchPageCount + treeLeafPageCount + overflowPages + Math.ceil(freed / PAGE_BYTES)
  return pages + leaves + branches + freeLists + 2 * Math.ceil(added / BYTES_PER_SPLIT)
}

/**
 * The number of places that a commit changes. Adjacent records of one log that it removes count as one place, because LMDB uses the
 * page that it has just emptied for the next one. `count` counts the keys from one to another, both included, up to a limit.
 */
export function placesOf(changes: readonly Change[], count: (from: Key, to: Key, limit: number) => number): number {
  let places = 0
  const runs = new Map<string, number[]>()
  for (const { key, value } of changes) {
    const [table, id, last] = key
    if (value !== undefined || key.length !== 3 || typeof last !== 'number') {
      places++
      continue
    }
    const name = `${table} ${id}`
    const run = runs.get(name)
    if (run) run.push(last)
    else runs.set(name, [last])
  }
  for (const [name, lasts] of runs) {
    const [table, id] = name.split(' ') as [string, string]
    const key = (last: number): Key => [table, Number(id), last]
    const [first, last] = [Math.min(...lasts), Math.max(...lasts)]
    const isRun = count(key(first), key(last), lasts.length + 1) === lasts.length
    places += isRun ? Math.min(2, lasts.length) : lasts.length
  }
  return places
}
