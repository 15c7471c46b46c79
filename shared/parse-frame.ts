import { FORBIDDEN_KEY, ForbiddenFrame } from './codec.ts'
import { FanfareError } from './fanfare-error.ts'
import { type Frame, type HeaderFilter, type Headers, POLICIES } from './frames.ts'
import { checkNesting } from './nesting.ts'

type Fields = Record<string, unknown>
type FrameOf<T extends Frame['type']> = Extract<Frame, { type: T }>

/** What each type of frame has to have, beyond being an object. Absent optional fields are fine, wrong ones are not. */
const CHECKS: Record<Frame['type'], (frame: Fields) => void> = {
  hello(f) {
    optionalText(f, 'client', 200)
    optionalText(f, 'token', MAX_TOKEN)
    optionalBoolean(f, 'checks')
  },
  auth(f) {
    number(f, 'seq')
    text(f, 'token')
    optionalText(f, 'token', MAX_TOKEN)
  },
  subscribe(f) {
    number(f, 'sub')
    text(f, 'pattern')
    if (f['policy'] !== undefined && !(POLICIES as readonly unknown[]).includes(f['policy'])) {
      throw shape(f, `"policy" is one of ${POLICIES.join(', ')}`)
    }
    if (f['filter'] !== undefined) filter(f)
    if (f['stream'] !== undefined) name(f, 'stream')
    if (f['cursor'] !== undefined) cursor(f)
    if (f['from'] !== undefined) from(f)
    optionalBoolean(f, 'resumes')
  },
  unsubscribe(f) {
    number(f, 'sub')
    if (f['finish'] !== undefined && typeof f['finish'] !== 'boolean') throw shape(f, '"finish" is a boolean')
  },
  pause: (f) => number(f, 'sub'),
  resume: (f) => number(f, 'sub'),
  publish(f) {
    number(f, 'seq')
    text(f, 'topic')
    if (f['id'] !== undefined) id(f)
    optionalText(f, 'key', 255)
    if (f['headers'] !== undefined) headers(f, f['headers'])
    publishOptions(f)
    checkNesting(f['data'])
  },
  consume(f) {
    number(f, 'consumer')
    name(f, 'queue')
    optionalNumber(f, 'prefetch', 1, 100_000)
    optionalNumber(f, 'ackDeadlineMs', 1, MAX_DELAY_MS)
    if (f['begins'] !== undefined && typeof f['begins'] !== 'boolean') throw shape(f, '"begins" is a boolean')
  },
  begin: settlement,
  return: deliveries,
  stop: (f) => number(f, 'consumer'),
  cancel: (f) => number(f, 'consumer'),
  ack(f) {
    settlement(f)
    if (f['publish'] !== undefined) publishes(f)
  },
  nack(f) {
    settlement(f)
    optionalNumber(f, 'delayMs', 0, MAX_DELAY_MS)
  },
  reject: settlement,
  extend(f) {
    settlement(f)
    number(f, 'ms')
  },
  respond(f) {
    number(f, 'sub')
    text(f, 'pattern')
  },
  ask(f) {
    number(f, 'seq')
    text(f, 'topic')
    number(f, 'timeoutMs')
    optionalNumber(f, 'timeoutMs', 1, MAX_DELAY_MS)
    if (f['headers'] !== undefined) headers(f, f['headers'])
    checkNesting(f['data'])
  },
  // How deep its data is, the hub looks at when it knows who asked: they have to learn that there is no answer.
  reply(f) {
    number(f, 'request')
    optionalText(f, 'error', MAX_ERROR)
  },
  commit(f) {
    number(f, 'sub')
    number(f, 'offset')
  },
  call(f) {
    number(f, 'seq')
    text(f, 'method')
    optionalText(f, 'method', 64)
  },
  ping: () => {},
  checked: (f) => number(f, 'n'),
  welcome(f) {
    text(f, 'protocol')
    text(f, 'connection')
    number(f, 'window')
    number(f, 'pingIntervalMs')
    const limits = fields(f['limits'])
    if (!limits) throw shape(f, '"limits" is an object')
    number(limits, 'frameBytes')
    number(limits, 'subscriptions')
    if (f['now'] !== undefined) number(f, 'now')
    if (f['expiresInMs'] !== undefined) number(f, 'expiresInMs')
  },
  authenticated(f) {
    number(f, 'seq')
    if (f['expiresInMs'] !== undefined) number(f, 'expiresInMs')
  },
  subscribed: (f) => number(f, 'sub'),
  unsubscribed: (f) => number(f, 'sub'),
  paused: (f) => number(f, 'sub'),
  resumed: (f) => number(f, 'sub'),
  behind: feed,
  live: feed,
  committed: feed,
  consuming: (f) => number(f, 'consumer'),
  recall: deliveries,
  lost: deliveries,
  cancelled: (f) => number(f, 'consumer'),
  delivery(f) {
    settlement(f)
    number(f, 'attempt')
    const message = fields(f['message'])
    if (!message) throw shape(f, '"message" is an object')
    CHECKS.message(message)
  },
  settled: deliveries,
  request(f) {
    number(f, 'sub')
    number(f, 'request')
    text(f, 'topic')
  },
  answer: (f) => number(f, 'seq'),
  result: (f) => number(f, 'seq'),
  receipt(f) {
    number(f, 'seq')
    text(f, 'id')
  },
  message(f) {
    text(f, 'id')
    text(f, 'topic')
    optionalText(f, 'scope', 255)
    optionalText(f, 'key', 255)
    if (f['headers'] !== undefined) headers(f, f['headers'])
  },
  only: (f) => number(f, 'sub'),
  gap(f) {
    number(f, 'sub')
    if (f['count'] !== undefined) number(f, 'count')
    text(f, 'reason')
  },
  error(f) {
    text(f, 'code')
    text(f, 'message')
  },
  pong: () => {},
  check: (f) => number(f, 'n'),
}

/**
 * The one parser: a frame of either direction, from anything. The frame is the object that was given, checked and not
 * copied. Throws `bad_frame` for a wrong shape, `forbidden_key`, `nested_too_deeply` for its data, and `unknown_frame` for a type that fanfare.v1
 * does not have.
 */
export function parseFrame(value: unknown): Frame {
  if (value instanceof ForbiddenFrame) throw new FanfareError('forbidden_key')
  const frame = fields(value)
  if (!frame) throw new FanfareError('bad_frame', 'A frame is a JSON object')
  const type = frame['type']
  if (typeof type !== 'string') throw new FanfareError('bad_frame', 'A frame has a "type"')
  if (!Object.hasOwn(CHECKS, type)) throw new FanfareError('unknown_frame', `"type" is ${quote(type)}`)
  CHECKS[type as Frame['type']](frame)
  return value as FrameOf<Frame['type']>
}

function fields(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined
}

function number(frame: Fields, name: string): void {
  const value = frame[name]
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw shape(frame, `"${name}" is a whole number from 0`)
}

function optionalNumber(frame: Fields, field: string, least: number, most: number): void {
  const value = frame[field]
  if (value === undefined) return
  if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most) {
    throw shape(frame, `"${field}" is a whole number from ${least} to ${most}`)
  }
}

function optionalBoolean(frame: Fields, field: string): void {
  if (!['undefined', 'boolean'].includes(typeof frame[field])) throw shape(frame, `"${field}" is a boolean`)
}

/** Characters of a token; those of servers that put whole groups of users into one stay below. */
export const MAX_TOKEN = 16_384

/** Maximum characters of an error of a handler, which is kept with its message: those of a stack that tell where. */
export const MAX_ERROR = 2000

/** A year: longer waits are mistakes of unit. */
export const MAX_DELAY_MS = 366 * 86_400_000

function publishOptions(frame: Fields): void {
  optionalNumber(frame, 'expiresAt', 0, Number.MAX_SAFE_INTEGER)
  optionalNumber(frame, 'priority', 0, 9)
  optionalNumber(frame, 'delayMs', 0, MAX_DELAY_MS)
  optionalNumber(frame, 'deliverAt', 0, Number.MAX_SAFE_INTEGER)
}

function settlement(frame: Fields): void {
  number(frame, 'consumer')
  number(frame, 'delivery')
  optionalText(frame, 'error', MAX_ERROR)
}

function deliveries(frame: Fields): void {
  number(frame, 'consumer')
  if (!Array.isArray(frame['deliveries'])) throw shape(frame, '"deliveries" is a list')
}

const MAX_PUBLISHES = 1000

/** What an ack publishes: publish frames without type and seq. */
function publishes(frame: Fields): void {
  const list = frame['publish']
  if (!Array.isArray(list) || list.length > MAX_PUBLISHES) {
    throw shape(frame, `"publish" is a list of ${MAX_PUBLISHES} at most`)
  }
  for (const each of list) {
    const publish = fields(each)
    if (!publish) throw shape(frame, '"publish" is a list of objects')
    CHECKS.publish(Object.assign(publish, { type: 'publish', seq: 0 }))
  }
}

function feed(frame: Fields): void {
  number(frame, 'sub')
  number(frame, 'offset')
}

function text(frame: Fields, name: string): void {
  if (typeof frame[name] !== 'string') throw shape(frame, `"${name}" is a string`)
}

function optionalText(frame: Fields, name: string, most: number): void {
  const value = frame[name]
  if (value === undefined) return
  if (typeof value !== 'string' || value.length > most) {
    throw shape(frame, `"${name}" is a string of ${most} characters at most`)
  }
}

// Nothing that JSON escapes, so that an id goes into a frame as it stands.
const ID = /^[\w.:~-]{1,64}$/

function id(frame: Fields): void {
  if (typeof frame['id'] !== 'string' || !ID.test(frame['id'])) {
    throw shape(frame, '"id" is 1 to 64 letters, digits and _ . : ~ -')
  }
}

const NAME = /^[\w.-]{1,64}$/

function name(frame: Fields, field: string): void {
  if (typeof frame[field] !== 'string' || !NAME.test(frame[field])) {
    throw shape(frame, `"${field}" is 1 to 64 letters, digits and _ . -`)
  }
}

// Those of a subject begin with its word, see `topicWord`.
const CURSOR = /^[A-Za-z0-9_.:@/+=~-]{1,128}$/

function cursor(frame: Fields): void {
  if (typeof frame['cursor'] !== 'string' || !CURSOR.test(frame['cursor'])) {
    throw shape(frame, '"cursor" is 1 to 128 letters, digits and _ . : @ / + = ~ -')
  }
  // It would be a key in the lists of cursors.
  if (frame['cursor'] === FORBIDDEN_KEY) throw shape(frame, `"cursor" is not ${FORBIDDEN_KEY}`)
}

function from(frame: Fields): void {
  const value = frame['from']
  if (value === 'latest' || value === 'earliest') return
  const start = fields(value)
  const names = start ? Object.keys(start).filter((name) => Object.hasOwn(STARTS, name)) : []
  // With `last`, an offset is where a subscription resumes after a cut.
  const kinds = start && 'last' in start ? names.filter((name) => name !== 'offset') : names
  if (!start || kinds.length !== 1) {
    throw shape(frame, '"from" is "latest", "earliest", or an object with "offset", "time" or "last"')
  }
  for (const name of names) number(start, name)
  if (Number(start['last'] ?? 0) > MAX_LAST)
    throw shape(frame, `"from.last" is ${start['last']}, and at most ${MAX_LAST}`)
  if (start['before'] !== undefined) number(start, 'before')
  optionalText(start, 'epoch', 64)
}

/** Maximum `last` of a subscription: the hub holds the offset of each of these messages until it is read. */
export const MAX_LAST = 10_000

const STARTS = { offset: true, time: true, last: true }

/** Maximum headers of a message, or of a filter. */
export const MAX_HEADERS = 32
/** Maximum characters of all names and values: of the headers of a message, and of a filter, which a connection holds many of. */
const MAX_HEADERS_LENGTH = 8192
export const MAX_FILTER_LENGTH = 2048

function headers(frame: Fields, value: unknown, longest = MAX_HEADERS_LENGTH): asserts value is Headers {
  const record = fields(value)
  const names = record && Object.keys(record)
  if (!record || !names || names.length > MAX_HEADERS || names.some((name) => typeof record[name] !== 'string')) {
    throw shape(frame, `headers are an object of ${MAX_HEADERS} strings at most`)
  }
  const length = names.reduce((sum, name) => sum + name.length + (record[name] as string).length, 0)
  if (length > longest) throw shape(frame, `headers have ${longest} characters at most, names and values together`)
}

function filter(frame: Fields): asserts frame is Fields & { filter: HeaderFilter } {
  const value = fields(frame['filter'])
  const names = value ? Object.keys(value).filter((name) => name === 'all' || name === 'any') : []
  if (!value || names.length !== 1) throw shape(frame, '"filter" has either "all" or "any"')
  headers(frame, value[names[0] as 'all' | 'any'], MAX_FILTER_LENGTH)
}

function shape(frame: Fields, rule: string): FanfareError {
  const type = typeof frame['type'] === 'string' ? `In ${quote(frame['type'])}, ` : ''
  return new FanfareError('bad_frame', `${type}${rule}`)
}

function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text)
}
