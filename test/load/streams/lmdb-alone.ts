import { createHistogram } from 'node:perf_hooks'
import { open } from 'lmdb'

/** What the store costs without a hub around it, as figures to hold a hub's against. */
export interface LmdbFigures {
  readonly group: number
  readonly putsPerSecond: number
  /** Median and 99th of 100 of a lone put, in milliseconds. */
  readonly lone: { readonly p50: number; readonly p99: number }
}

const SECONDS = 2
const LONE_PUTS = 1000

/** Puts values of `size` bytes in groups of as many as a publisher's window holds, each group synced to the disk. */
export async function lmdbAlone(folder: string, group: number, size: number): Promise<LmdbFigures> {
  const database = open<Uint8Array, number>({ path: `${folder}/lmdb-alone.mdb`, noSubdir: true, encoding: 'binary' })
  const value = Buffer.alloc(size, 'x')
  let key = 0
  const start = performance.now()
  while (performance.now() - start < SECONDS * 1000) {
    for (let n = 0; n < group; n++) void database.put(key++, value)
    await database.flushed
  }
  const putsPerSecond = key / ((performance.now() - start) / 1000)
  const histogram = createHistogram()
  for (let n = 0; n < LONE_PUTS; n++) {
    const since = performance.now()
    void database.put(key++, value)
    await database.flushed
    histogram.record(Math.max(1, Math.round((performance.now() - since) * 1000)))
  }
  await database.close()
  return {
    group,
    putsPerSecond,
    lone: { p50: histogram.percentile(50) / 1000, p99: histogram.percentile(99) / 1000 },
  }
}
