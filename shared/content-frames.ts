import { FanfareError } from './fanfare-error.ts'
import {
  CLIENT_NAME,
  CURSOR,
  FILTER,
  FROM,
  HEADERS,
  ID,
  KEY,
  MAX_DELAY_MS,
  NAME,
  POLICY,
  PRIORITY,
  TOKEN,
} from './field-rules.ts'
import type { ClientFrame } from './frames.ts'
import { checkNesting } from './nesting.ts'
import { MAX_ERROR, METHOD, PREFETCH } from './queue-rules.ts'
import {
  ANY,
  BOOLEAN,
  broken,
  isFields,
  NUMBER,
  optional,
  type Rule,
  type Rules,
  TEXT,
  textUpTo,
  unknownField,
  whole,
} from './rules.ts'

const MAX_PUBLISHES = 1000

const DELAY_MS = whole(0, MAX_DELAY_MS)
const WAIT_MS = whole(1, MAX_DELAY_MS)
const MESSAGE_ID = optional(ID)

/** Throws `nested_too_deeply`. */
const DATA: Rule = [
  '',
  (value) => {
    checkNesting(value)
    return true
  },
]

const PUBLISH: Rules = {
  seq: NUMBER,
  topic: TEXT,
  id: MESSAGE_ID,
  key: optional(KEY),
  headers: optional(HEADERS),
  expiresAt: optional(NUMBER),
  priority: optional(PRIORITY),
  delayMs: optional(DELAY_MS),
  deliverAt: optional(NUMBER),
  retry: optional(BOOLEAN),
  data: DATA,
}

/**
 * Whether a value is a publish without options other than an id, and without unknown fields: most frames are, and this is much faster than
 * the rules. False: the rules decide. Throws `nested_too_deeply`.
 */
export function isPlainPublish(value: unknown): boolean {
  if (!isFields(value) || value['type'] !== 'publish') return false
  const { seq, topic, id, data } = value
  // Counting is faster than looking at names. With its type, a number, a topic and these it has no other field.
  let others = -3 - (id === undefined ? 0 : 1) - (data === undefined ? 0 : 1)
  for (const _ in value) others++
  return others === 0 && NUMBER[1](seq) && TEXT[1](topic) && MESSAGE_ID[1](id) && DATA[1](data)
}

/** What an ack publishes: publish frames without type and seq. */
const PUBLISHES: Rule = [
  `a list of at most ${MAX_PUBLISHES} publishes`,
  (value) => Array.isArray(value) && value.length <= MAX_PUBLISHES && value.every(isPublish),
]

/** Names a delivery. */
export const SETTLEMENT: Rules = { consumer: NUMBER, delivery: NUMBER, error: optional(textUpTo(MAX_ERROR)) }

/** The frames of a client that carry something of the application. */
export const CONTENT_FRAMES = {
  hello: { client: optional(CLIENT_NAME), token: optional(TOKEN), checks: optional(BOOLEAN) },
  subscribe: {
    sub: NUMBER,
    pattern: TEXT,
    policy: optional(POLICY),
    filter: optional(FILTER),
    stream: optional(NAME),
    cursor: optional(CURSOR),
    from: optional(FROM),
    resumes: optional(BOOLEAN),
  },
  publish: PUBLISH,
  consume: {
    consumer: NUMBER,
    queue: NAME,
    prefetch: optional(PREFETCH),
    ackDeadlineMs: optional(WAIT_MS),
    begins: optional(BOOLEAN),
  },
  ack: { ...SETTLEMENT, publish: optional(PUBLISHES) },
  nack: { ...SETTLEMENT, delayMs: optional(DELAY_MS) },
  reject: SETTLEMENT,
  extend: { ...SETTLEMENT, ms: NUMBER },
  respond: { sub: NUMBER, pattern: TEXT },
  ask: { seq: NUMBER, topic: TEXT, timeoutMs: WAIT_MS, headers: optional(HEADERS), data: DATA },
  // The hub checks how deep its data is once it knows the requester, who has to be notified that there is no answer.
  reply: { request: NUMBER, error: optional(textUpTo(MAX_ERROR)), data: ANY },
  call: { seq: NUMBER, method: METHOD, params: ANY },
} satisfies { [Type in ClientFrame['type']]?: Rules }

export type ContentFrame = Extract<ClientFrame, { type: keyof typeof CONTENT_FRAMES }>

function isPublish(value: unknown): boolean {
  if (!isFields(value)) return false
  const fault =
    broken(Object.assign(value, { type: 'publish', seq: 0 }), PUBLISH) ?? unknownField('publish', value, PUBLISH)
  if (fault) throw new FanfareError('bad_frame', fault)
  return true
}
