import { HEADERS, SETTLEMENT } from './content-frames.ts'
import type { HubFrame } from './frames.ts'
import { LIST, NUMBER, objectOf, optional, type Rules, TEXT, textUpTo } from './rules.ts'

const SUB: Rules = { sub: NUMBER }
const PLACE: Rules = { sub: NUMBER, offset: NUMBER }
const CONSUMER: Rules = { consumer: NUMBER }
const DELIVERIES: Rules = { consumer: NUMBER, deliveries: LIST }
const SEQ: Rules = { seq: NUMBER }
const MESSAGE: Rules = {
  id: TEXT,
  topic: TEXT,
  scope: optional(textUpTo(255)),
  key: optional(textUpTo(255)),
  headers: optional(HEADERS),
}

export const HUB_FRAMES = {
  welcome: {
    protocol: TEXT,
    connection: TEXT,
    window: NUMBER,
    pingIntervalMs: NUMBER,
    limits: objectOf({ frameBytes: NUMBER, subscriptions: NUMBER }),
    now: optional(NUMBER),
    node: optional(TEXT),
    expiresInMs: optional(NUMBER),
  },
  authenticated: { seq: NUMBER, expiresInMs: optional(NUMBER) },
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
  delivery: { ...SETTLEMENT, attempt: NUMBER, message: objectOf(MESSAGE) },
  settled: DELIVERIES,
  request: { sub: NUMBER, request: NUMBER, topic: TEXT },
  answer: SEQ,
  result: SEQ,
  receipt: { seq: NUMBER, id: TEXT },
  message: MESSAGE,
  only: SUB,
  gap: { sub: NUMBER, count: optional(NUMBER), reason: TEXT },
  error: { code: TEXT, message: TEXT },
  pong: {},
  check: { n: NUMBER },
} satisfies Record<HubFrame['type'], Rules>
