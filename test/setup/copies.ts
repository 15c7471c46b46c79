import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import type { Broker } from '../../server/broker/broker.ts'
import { isRedis, openArchive } from '../../server/broker/load-archive.ts'
import { loadBroker, loadClusterBroker } from '../../server/broker/load-broker.ts'
import { type CopyReport, copyArchive } from '../../server/copy/copy.ts'
import { eventsWith } from './drafts.ts'

/** A data directory, or a prefix in a Redis. */
export interface Place {
  readonly where: string
  readonly prefix: string
}

const SILENT = pino({ enabled: false })
let prefixes = 0

/** A data directory that is removed after the test. */
export async function newDirectory(): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'fanfare-copy-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return { where: join(folder, 'data'), prefix: 'fanfare' }
}

/** A prefix that is not used yet. */
export function newPrefix(redis: { readonly url: string }): Place {
  return { where: redis.url, prefix: `copy${++prefixes}` }
}

/** A broker on a place; it has to be closed before the place is copied. */
export async function brokerOn({ where, prefix }: Place): Promise<Broker> {
  const options = { dedupWindowMs: 3_600_000, dedupIds: 100_000 }
  const none = { clusterPasswordFile: '', clusterCaFile: '', clusterReplicas: 0, nodeName: 'test' }
  const cluster = { ...options, ...none, cluster: where, clusterPrefix: prefix, clusterDurability: 'relaxed' } as const
  const broker = isRedis(where)
    ? await loadClusterBroker(cluster, SILENT)
    : await loadBroker(where, { ...options, lockWaitMs: 0 }, SILENT)
  if (!broker) throw new Error('there is no broker')
  await broker.open(eventsWith({}))
  return broker
}

export async function copyBetween(from: Place, to: Place): Promise<CopyReport> {
  const files = { clusterPasswordFile: '', clusterCaFile: '' }
  const source = await openArchive(from.where, true, { ...files, clusterPrefix: from.prefix }, SILENT)
  try {
    const target = await openArchive(to.where, false, { ...files, clusterPrefix: to.prefix }, SILENT)
    try {
      return await copyArchive(source, target, { progress() {}, warn() {} })
    } finally {
      await target.close()
    }
  } finally {
    await source.close()
  }
}
