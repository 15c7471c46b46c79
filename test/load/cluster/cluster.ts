import { moveToLoadCore, processStats } from '../process-stats.ts'
import { print } from '../report.ts'
import { clusterKill } from './kill.ts'
import { clusterLatency } from './latency.ts'
import { type ClusterLoad, startRedis } from './load-cluster.ts'
import { besideSocketIo, clusterFanOut, clusterInterest } from './spread.ts'

const PARTS = {
  latency: clusterLatency,
  'fan-out': clusterFanOut,
  interest: clusterInterest,
  'socket-io': besideSocketIo,
  kill: clusterKill,
}

export const CLUSTER_PARTS = Object.keys(PARTS).join(',')

/** All promised figures of a cluster, each next to what it is compared with. */
export async function cluster({ parts, ...load }: ClusterLoad & { readonly parts: string }): Promise<void> {
  if (!processStats) throw new Error('These figures need Linux: they are CPU time of other processes')
  moveToLoadCore()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(1))
  const redis = await startRedis()
  print(`Messages of ${load.size} bytes; hubs share a core, and ${load.seconds} s are measured.`)
  for (const part of parts.split(',')) {
    const run = PARTS[part as keyof typeof PARTS]
    if (!run) throw new Error(`No part "${part}"; there are ${CLUSTER_PARTS}`)
    await run(load, redis)
  }
  await redis.stop()
  process.exit()
}
