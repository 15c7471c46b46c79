/** The brokers that every suite for brokers runs on; `brokers.ts` opens them. */
export const BROKERS = ['in memory', 'on LMDB', 'on Redis'] as const
export type BrokerKind = (typeof BROKERS)[number]

/** What a suite is called if it runs on a broker. */
export function brokerSuite(broker: BrokerKind, name: string): string {
  return `${name} ${broker}`
}
