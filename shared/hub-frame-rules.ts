import type { HubFrame } from './frames.ts'
import { LIST, NUMBER, objectOf, optional, type Rules, TEXT } from './rules.ts'

const SUB: Rules = { sub: NUMBER }
const PLACE: Rules = { sub: NUMBER, offset: NUMBER }
const CONSUMER: Rules = { consumer: NUMBER }
const DELIVERIES: Rules = { consumer: NUMBER, deliveries: LIST }
const SEQ: Rules = { seq: NUMBER }
const MESSAGE: Rules = { id: TEXT, topic: TEXT }
const EXPIRES_IN_MS = optional(NUMBER)

/** What a client relies on. It trusts its hub in everything else. */
export const HUB_FRAMES = {
  welcome: {
    window: NUMBER,
    pingIntervalMs: NUMBER,
    limits: objectOf({ frameBytes: NUMBER }),
    expiresInMs: EXPIRES_IN_MS,
  },
  authenticated: { seq: NUMBER, expiresInMs: EXPIRES_IN_MS },
  subscribed: SUB,
  unsubscribed: SUB,
  paused: SUB,
  resumed: SUB,
  behind: PLACE,
  live: PLACE,
  committed: PLACE,
  consuming: CONSUMER,
  recall: DELIVERIES,
  lost: DELIVERIES,
  cancelled: CONSUMER,
  delivery: { consumer: NUMBER, delivery: NUMBER, attempt: NUMBER, message: objectOf(MESSAGE) },
  settled: DELIVERIES,
  request: { sub: NUMBER, request: NUMBER, topic: TEXT },
  answer: SEQ,
  result: SEQ,
  receipt: { seq: NUMBER, id: TEXT },
  message: MESSAGE,
  only: SUB,
  gap: { sub: NUMBER, reason: TEXT },
  error: { code: TEXT, message: TEXT },
  pong: {},
  check: { n: NUMBER },
} satisfies Record<HubFrame['type'], Rules>
