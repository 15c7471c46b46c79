import type { Broker } from '../broker/broker.ts'
import { LOSS_CAUSES, type RemoteStatus } from '../broker/remote-status.ts'
import type { Nodes } from '../bus/nodes.ts'
import type { Families } from './families.ts'

/** The metrics of the link to the other hubs. */
export function declareCluster(families: Families, nodes: Nodes): void {
  families.gauge('fanfare_nodes', 'Hubs of the cluster that this hub sees, itself included.', () => nodes.count)
  families.gauge('fanfare_cluster_cut_off', '1 while the hub is cut off from its cluster.', () =>
    nodes.isCutOff ? 1 : 0,
  )
  families.counter(
    'fanfare_cluster_reconnections_total',
    'Times that the hub reconnected after it was cut off from its cluster.',
    () => nodes.reconnections,
  )
  families.counter(
    'fanfare_cluster_missed_total',
    'Times that messages of another hub may have been missed. Gaps with the reason link told the subscriptions concerned.',
    () => nodes.missedTotal,
  )
  families.gauge(
    'fanfare_cluster_lag_seconds',
    'Time from this hub through Redis and back, as of the last heartbeat: what waits in Redis or in the hub is in it.',
    () => nodes.figures.lagMs / 1000,
  )
  families.counter(
    'fanfare_cluster_messages_sent_total',
    'Live messages sent to other hubs, once for each of them.',
    () => nodes.figures.sentMessages,
  )
  families.counter(
    'fanfare_cluster_messages_received_total',
    'Live messages received from other hubs.',
    () => nodes.figures.receivedMessages,
  )
  families.counter(
    'fanfare_cluster_sent_bytes_total',
    'Bytes sent to other hubs: messages, requests, heartbeats.',
    () => nodes.figures.sentBytes,
  )
  families.counter(
    'fanfare_cluster_received_bytes_total',
    'Bytes received from other hubs.',
    () => nodes.figures.receivedBytes,
  )
}

/** The metrics of a broker on Redis. They are 0 for a hub without a cluster. */
export function declareRedis(families: Families, broker: Pick<Broker, 'remote'>): void {
  const value = (of: (status: RemoteStatus) => number) => () => (broker.remote ? of(broker.remote) : 0)
  const gauge = (name: string, help: string, of: (status: RemoteStatus) => number) =>
    families.gauge(`fanfare_redis_${name}`, help, value(of))
  const counter = (name: string, help: string, of: (status: RemoteStatus) => number) =>
    families.counter(`fanfare_redis_${name}`, help, value(of))
  gauge('cut_off', '1 while the hub cannot use the Redis that keeps its streams and queues.', ({ cutOff }) =>
    cutOff === undefined ? 0 : 1,
  )
  gauge('connections', 'Open connections to this Redis.', ({ connections }) => connections)
  counter('reconnections_total', 'Times that the hub connected to it again.', ({ reconnections }) => reconnections)
  families.labelledGauge(
    'fanfare_redis_may_lose',
    '1 if this Redis can lose acknowledged messages, by cause: it does not write to its disk, acknowledges before it has written, does not permit CONFIG GET, or has more replicas than clusterReplicas names.',
    ['durability', 'cause'],
    () => {
      const { durability = 'strict', mayLose } = broker.remote ?? {}
      return LOSS_CAUSES.map((cause) => [[durability, cause], mayLose?.has(cause) ? 1 : 0])
    },
  )
  families.labelledCounter(
    'fanfare_redis_losses_total',
    'Times that Redis was found to have lost acknowledged data: some turns of this hub, or all data of the cluster.',
    ['extent'],
    () => Object.entries(broker.remote?.losses ?? { some: 0, all: 0 }).map(([extent, count]) => [[extent], count]),
  )
  counter(
    'lost_turns_total',
    'Turns of this hub (groups of changes) that Redis had acknowledged and was found to have lost.',
    ({ lostTurns }) => lostTurns,
  )
  counter(
    'new_epochs_total',
    'Times that all streams got a new epoch, because Redis had lost something or may have.',
    ({ newEpochs }) => newEpochs,
  )
  counter(
    'unknown_outcomes_total',
    'Publishes, acks and other settlements that ended without the hub knowing whether they are stored.',
    ({ unknownOutcomes }) => unknownOutcomes,
  )
  counter(
    'damaged_total',
    'Times that this hub found something damaged in Redis: a message that it set aside, a block of a stream, or a key. The log names them.',
    ({ damaged }) => damaged,
  )
  declareBarrier(gauge, counter)
  gauge('memory_bytes', 'Memory that Redis uses, as of the last ten seconds.', ({ memory }) => memory.bytes)
  gauge(
    'memory_limit_bytes',
    'Its maxmemory; 0 for no limit. Publishes fail with storage_full when it is reached.',
    ({ memory }) => memory.limitBytes,
  )
}

type Declare = (name: string, help: string, of: (status: RemoteStatus) => number) => void

function declareBarrier(gauge: Declare, counter: Declare): void {
  counter(
    'replica_waits_total',
    'Waits for clusterReplicas replicas that have ended. One wait covers all commits before it.',
    ({ barrier }) => barrier.waits,
  )
  counter('replica_wait_seconds_total', 'Time of these waits together.', ({ barrier }) => barrier.seconds)
  counter(
    'replica_shortfalls_total',
    'Times that fewer than clusterReplicas replicas had everything after a second.',
    ({ barrier }) => barrier.shortfalls,
  )
  gauge(
    'replica_waiting_seconds',
    'How long the current wait has lasted. After 10 seconds publishes end with outcome_unknown.',
    ({ barrier }) => barrier.waitingSeconds,
  )
}
