import { FanfareError } from './fanfare-error.ts'
import { FORBIDDEN_KEY } from './forbidden-keys.ts'
import { type ClientFrame, POLICIES } from './frames.ts'
import { checkNesting } from './nesting.ts'
import {
  ANY,
  BOOLEAN,
  broken,
  isFields,
  matching,
  NUMBER,
  optional,
  type Rule,
  type Rules,
  TEXT,
  textUpTo,
  unknownField,
  whole,
} from './rules.ts'

/** Characters of a token; those of servers that put whole groups of users into one stay below. */
export const MAX_TOKEN = 16_384

/** Maximum characters of an error of a handler, which is kept with its message: those of a stack that tell where. */
export const MAX_ERROR = 2000

/** A year: longer waits are mistakes of unit. */
export const MAX_DELAY_MS = 366 * 86_400_000

/** Maximum `last` of a subscription: the hub holds the offset of each of these messages until it is read. */
export const MAX_LAST = 10_000

/** Maximum headers of a message, or of a filter. */
export const MAX_HEADERS = 32
/** Maximum characters of all names and values: of the headers of a message, and of a filter, which a connection holds many of. */
const MAX_HEADERS_LENGTH = 8192
export const MAX_FILTER_LENGTH = 2048

const MAX_PUBLISHES = 1000

const NAME = matching(/^[\w.-]{1,64}$/, '1 to 64 letters, digits and _ . -')
// Those of a subject begin with its word, see `topicWord`. The forbidden key would be a key in the lists of cursors.
const CURSOR = matching(
  new RegExp(`^(?!${FORBIDDEN_KEY}$)[A-Za-z0-9_.:@/+=~-]{1,128}$`),
  `1 to 128 letters, digits and _ . : @ / + = ~ -`,
)
const DELAY_MS = whole(0, MAX_DELAY_MS)
const WAIT_MS = whole(1, MAX_DELAY_MS)

/** Of a message, for all who send one. */
export const HEADERS = headersUpTo(MAX_HEADERS_LENGTH)
const FILTERS = headersUpTo(MAX_FILTER_LENGTH)
const FILTER: Rule = [`an object with either all or any: ${FILTERS[0]}`, isFilter]
const START: Rules = {
  offset: optional(NUMBER),
  time: optional(NUMBER),
  last: optional(whole(0, MAX_LAST)),
  before: optional(NUMBER),
  epoch: optional(textUpTo(64)),
}
const FROM: Rule = [`"latest", "earliest", or an object with offset, time or last (at most ${MAX_LAST})`, isStart]
/** Throws `nested_too_deeply`. */
const DATA: Rule = [
  '',
  (value) => {
    checkNesting(value)
    return true
  },
]

// Nothing that JSON escapes, so that an id goes into a frame as it stands.
const ID = optional(matching(/^[\w.:~-]{1,64}$/, '1 to 64 letters, digits and _ . : ~ -'))

const PUBLISH: Rules = {
  seq: NUMBER,
  topic: TEXT,
  id: ID,
  key: optional(textUpTo(255)),
  headers: optional(HEADERS),
  expiresAt: optional(NUMBER),
  priority: optional(whole(0, 9)),
  delayMs: optional(DELAY_MS),
  deliverAt: optional(NUMBER),
  retry: optional(BOOLEAN),
  data: DATA,
}

/**
 * Whether a value is a publish with no option but an id, and no unknown field: most frames are, and this is much faster than the rules. False: the rules decide.
 * Throws `nested_too_deeply`.
 */
export function isPlainPublish(value: unknown): boolean {
  if (!isFields(value) || value['type'] !== 'publish') return false
  const { seq, topic, id, data } = value
  // Counting is faster than looking at names. With its type, a number, a topic and these it has no other field.
  let others = -3 - (id === undefined ? 0 : 1) - (data === undefined ? 0 : 1)
  for (const _ in value) others++
  return others === 0 && NUMBER[1](seq) && TEXT[1](topic) && ID[1](id) && DATA[1](data)
}

/** What an ack publishes: publish frames without type and seq. */
const PUBLISHES: Rule = [
  `a list of at most ${MAX_PUBLISHES} publishes`,
  (value) => Array.isArray(value) && value.length <= MAX_PUBLISHES && value.every(isPublish),
]

/** Names a delivery. */
export const SETTLEMENT: Rules = { consumer: NUMBER, delivery: NUMBER, error: optional(textUpTo(MAX_ERROR)) }

/** The frames of a client in which the application has a say: it checks them itself, before they cost the connection. */
export const CONTENT_FRAMES = {
  hello: { client: optional(textUpTo(200)), token: optional(textUpTo(MAX_TOKEN)), checks: optional(BOOLEAN) },
  subscribe: {
    sub: NUMBER,
    pattern: TEXT,
    policy: optional([`one of ${POLICIES.join(', ')}`, (value) => (POLICIES as readonly unknown[]).includes(value)]),
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
    prefetch: optional(whole(1, 100_000)),
    ackDeadlineMs: optional(WAIT_MS),
    begins: optional(BOOLEAN),
  },
  ack: { ...SETTLEMENT, publish: optional(PUBLISHES) },
  nack: { ...SETTLEMENT, delayMs: optional(DELAY_MS) },
  reject: SETTLEMENT,
  extend: { ...SETTLEMENT, ms: NUMBER },
  respond: { sub: NUMBER, pattern: TEXT },
  ask: { seq: NUMBER, topic: TEXT, timeoutMs: WAIT_MS, headers: optional(HEADERS), data: DATA },
  // How deep its data is, the hub looks at when it knows who asked: they have to learn that there is no answer.
  reply: { request: NUMBER, error: optional(textUpTo(MAX_ERROR)), data: ANY },
  call: { seq: NUMBER, method: textUpTo(64), params: ANY },
} satisfies { [Type in ClientFrame['type']]?: Rules }

export type ContentFrame = Extract<ClientFrame, { type: keyof typeof CONTENT_FRAMES }>

function headersUpTo(longest: number): Rule {
  return [
    `an object of at most ${MAX_HEADERS} strings, and ${longest} characters in total`,
    (value) => {
      if (!isFields(value)) return false
      const texts = Object.entries(value).flat()
      const areTexts = texts.length <= 2 * MAX_HEADERS && texts.every((text) => typeof text === 'string')
      return areTexts && texts.join('').length <= longest
    },
  ]
}

function isFilter(value: unknown): boolean {
  if (!isFields(value)) return false
  // Also one that is undefined: whoever applies it looks at which is there.
  const isAll = 'all' in value
  if (Object.keys(value).some((name) => name !== 'all' && name !== 'any')) return false
  return isAll !== 'any' in value && FILTERS[1](value[isAll ? 'all' : 'any'])
}

function isStart(value: unknown): boolean {
  if (!isFields(value)) return value === 'latest' || value === 'earliest'
  const { offset, time, last, before } = value
  // With `last` and `before`, an offset is where a subscription resumes after a cut.
  const from = last !== undefined && before !== undefined ? undefined : offset
  return (
    [from, time, last].filter((start) => start !== undefined).length === 1 &&
    !broken(value, START) &&
    unknownField('from', value, START) === undefined
  )
}

function isPublish(value: unknown): boolean {
  if (!isFields(value)) return false
  const fault =
    broken(Object.assign(value, { type: 'publish', seq: 0 }), PUBLISH) ?? unknownField('publish', value, PUBLISH)
  if (fault) throw new FanfareError('bad_frame', fault)
  return true
}
