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
  'maxStreams',
  'maxQueues',
] as const
export type LimitName = (typeof LIMITS)[number]

/** Of each the number, 0 for none; and what a burst has to have room for. */
export type LimitConfig = Readonly<Record<LimitName | 'frameBytes' | 'subscriptions', number>>
