/** The limits of a hub that are counted, by the names of their options. */
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

/** The message of a refusal beyond a rate. */
export function exceeded(limit: LimitName): string {
  return `The rate limit ${limit} was exceeded; the request was not processed. Send it later.`
}

/** Without the limits on what a connection or a subject may do in a second. */
export const NO_RATES = {
  messagesPerSecond: 0,
  bytesPerSecond: 0,
  identityMessagesPerSecond: 0,
  identityBytesPerSecond: 0,
  subscribesPerSecond: 0,
} as const satisfies Partial<Record<LimitName, number>>

/** What `fanfare_limit_hits_total` counts: the limits above, and those that are no option. */
export const LIMIT_HITS = [...LIMITS, 'descriptors', 'pipelinedRequests', 'malformedFramesPerSecond'] as const
export type LimitHit = (typeof LIMIT_HITS)[number]

/** Of each the number, 0 for none; and what a burst has to have room for. */
export type LimitConfig = Readonly<Record<LimitName | 'frameBytes' | 'subscriptions', number>>
