/** The brokers that every suite for brokers runs on; `brokers.ts` opens them. */
export const BROKERS = ['in memory', 'on LMDB', 'on Redis'] as const
export type BrokerKind = (typeof BROKERS)[number]

/** What a suite is called if it runs on a broker. */
export function brokerSuite(broker: BrokerKind, name: string): string {
  return `${name} ${broker}`
}

/** Suites that do not run on a broker yet: this one has no queues. */
const NOT_YET: Readonly<Partial<Record<BrokerKind, readonly string[]>>> = {
  'on Redis': [
    'queues',
    'what a broker reports of queues',
    'publishes that wait for room, where the queue changes,',
    'waiting publishes',
    'a queue',
  ],
}

export function runsOn(broker: BrokerKind, suite: string): boolean {
  return !NOT_YET[broker]?.includes(suite.trim())
}
