import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import type { BrokerEvents } from '../../server/broker/broker.ts'
import { Keys } from '../../server/broker/redis/keys.ts'
import { BrokerLink } from '../../server/broker/redis/link.ts'
import { RedisBroker } from '../../server/broker/redis/redis-broker.ts'
import { redisAddress } from '../../server/bus/redis/redis-address.ts'
import { eventsWith } from './drafts.ts'

const SILENT = pino({ enabled: false })

/** The broker of one node, until the test ends. */
export async function brokerAt(
  url: string,
  { replicas = 0, events = {} as Partial<BrokerEvents> } = {},
): Promise<RedisBroker> {
  const link = new BrokerLink(redisAddress(url), new Keys('test'), replicas > 0, SILENT)
  const options = { name: 'test', dedupWindowMs: 60_000, dedupIds: 1000, replicas, durability: 'relaxed' } as const
  const broker = new RedisBroker(link, options, SILENT)
  onTestFinished(() => broker.close())
  await broker.open(eventsWith(events))
  return broker
}
