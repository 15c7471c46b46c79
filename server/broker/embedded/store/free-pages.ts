import { Buffer } from 'node:buffer'
import { readSync } from 'node:fs'
import { PAGE_BYTES } from './database-file.ts'

/*
 * LMDB keeps reusable pages in a separate tree and does not report their number. On a full disk this number decides whether there
 * is space, so the tree is read from the file. See `database-check.ts` for the layout.
 */

const HEADER_BYTES = 24
const IS_BRANCH = 1
const IS_BIG = 1
/** Maximum number of runs read: more would take longer than a commit. */
const MOST_RUNS = 100_000

type Run = readonly [first: number, pages: number]

/**
 * Counts the pages that LMDB can reuse, in runs of at least `run` pages, because a value needs adjacent pages. Pages freed by the
 * transaction `before` or a later one do not count, because a reader may still need them.
 */
export function countFreePages(file: number, before: number, run: number): number {
  let free = 0
  const take = ([, pages]: Run) => {
    if (pages >= run) free += pages
  }
  let open: Run = [0, 0]
  for (const [first, pages] of freeRuns(file, before).sort(([a], [b]) => a - b)) {
    if (first === open[0] + open[1]) open = [open[0], open[1] + pages]
    else {
      take(open)
      open = [first, pages]
    }
  }
  take(open)
  return free
}

function freeRuns(file: number, before: number): Run[] {
  const runs: Run[] = []
  const visit = (at: number): void => {
    const page = read(file, at, 1)
    const isBranch = (page.readUInt16LE(18) & IS_BRANCH) !== 0
    for (let slot = HEADER_BYTES; slot < HEADER_BYTES + page.readUInt16LE(20) && runs.length < MOST_RUNS; slot += 2) {
      const node = HEADER_BYTES + page.readUInt16LE(slot)
      if (isBranch) visit(page.readUInt32LE(node) + page.readUInt16LE(node + 4) * 2 ** 32)
      else if (Number(page.readBigUInt64LE(node + 8)) < before) addRuns(valueAt(file, page, node), runs)
    }
  }
  const root = rootOfFreePages(file)
  if (root !== undefined) visit(root)
  return runs
}

function rootOfFreePages(file: number): number | undefined {
  const metas = read(file, 0, 2)
  const transaction = (page: number) => metas.readBigUInt64LE(page * PAGE_BYTES + HEADER_BYTES + 128)
  const newest = transaction(1) > transaction(0) ? 1 : 0
  const root = metas.readBigUInt64LE(newest * PAGE_BYTES + HEADER_BYTES + 24 + 40)
  return root === 0xffff_ffff_ffff_ffffn ? undefined : Number(root)
}

function valueAt(file: number, page: Buffer, node: number): Buffer {
  const bytes = page.readUInt32LE(node)
  const at = node + 8 + page.readUInt16LE(node + 6)
  if ((page.readUInt16LE(node + 4) & IS_BIG) === 0) return page.subarray(at, at + bytes)
  const pages = Number(page.readBigUInt64LE(at + 16))
  return read(file, Number(page.readBigUInt64LE(at)), pages).subarray(HEADER_BYTES, HEADER_BYTES + bytes)
}

/** A list consists of its length, then for each run its first page, preceded by its length as a negative number. */
function addRuns(list: Buffer, runs: Run[]): void {
  const entry = (at: number) => Number(list.readBigInt64LE(at * 8))
  const last = Math.min(entry(0), list.length / 8 - 1)
  for (let at = 1; at <= last && runs.length < MOST_RUNS; at++) {
    const first = entry(at)
    if (first > 0) runs.push([first, 1])
    else if (first < 0 && at < last) runs.push([entry(++at), -first])
  }
}

function read(file: number, at: number, pages: number): Buffer {
  const buffer = Buffer.alloc(pages * PAGE_BYTES)
  readSync(file, buffer, 0, buffer.length, at * PAGE_BYTES)
  return buffer
}
