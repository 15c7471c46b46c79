/** The limits that are counted, by the names of their options. */
export const LIMITS = [
  'maxConnections',
  'connectionsPerAddress',
  'connectsPerSecondPerAddress',
  'messagesPerSecond',
  'bytesPerSecond',
  'identityMessagesPerSecond',
  'identityBytesPerSecond',
  'subscribesPerSecond',
  'subscriptionBytes',
  'waitingPublishBytes',
  'calls',
  'maxStreams',
  'maxQueues',
  'maxPatterns',
] as const
export type LimitName = (typeof LIMITS)[number]

/** The error message for an exceeded rate limit. */
export function exceeded(limit: LimitName): string {
  return `The rate limit ${limit} was exceeded; the request was not processed. Send it later.`
}

/** A configuration without limits per second. */
export const NO_RATES = {
  messagesPerSecond: 0,
  bytesPerSecond: 0,
  identityMessagesPerSecond: 0,
  identityBytesPerSecond: 0,
  subscribesPerSecond: 0,
} as const satisfies Partial<Record<LimitName, number>>

/** The label values of `fanfare_limit_hits_total`: the limits above, and those without an option. */
export const LIMIT_HITS = [...LIMITS, 'descriptors', 'pipelinedRequests', 'malformedFramesPerSecond'] as const
export type LimitHit = (typeof LIMIT_HITS)[number]

/** The value of each limit, 0 for none, and the sizes that a burst must allow. */
export type LimitConfig = Readonly<Record<LimitName | 'frameBytes' | 'subscriptions', number>>
