import { isSuspicious } from './forbidden-keys.ts'
import type { PublishFrame } from './frames.ts'
import { END_BRACE, levels, NINE, own, QUOTE, valueEnd, ZERO } from './json-scanner.ts'
import { MAX_NESTING } from './nesting.ts'
import { RawJson } from './raw-json.ts'

/** A publish as a client writes it that has one to send, up to its data. A number of 15 digits is exact. */
const HEAD = /\{"type":"publish","seq":(?:0|[1-9]\d{0,14}),"topic":"[ !#-[\]-\uffff]{1,255}","data":/y
const SEQ_AT = '{"type":"publish","seq":'.length
const BEFORE_TOPIC = ',"topic":"'.length
const AFTER_TOPIC = '","data":'.length
/** The rest, if its data is a string without escapes. */
const STRING = /"[ !#-[\]-\uffff]*"\}/y

/** Of the last publish, and often of the next one: comparing is faster than copying, and the same string has its hash already. */
let lastTopic = ''

/**
 * The frame of a text that is one publish with a topic and data, and nothing else, not even white space. Most of it is then read by regular
 * expressions, in half of the time of a walk. Undefined: the walk decides what it is. Throws `not_json`.
 */
export function plainPublish(text: string, isAscii: boolean): PublishFrame | undefined {
  HEAD.lastIndex = 0
  if (!HEAD.test(text)) return undefined
  const dataAt = HEAD.lastIndex
  const isString = endsAsString(text, dataAt)
  if (!isString && !endsAsValue(text, dataAt)) return undefined
  const isDeep = !isString && levels > MAX_NESTING
  let seq = 0
  let at = SEQ_AT
  for (; ; at++) {
    const code = text.charCodeAt(at)
    if (code < ZERO || code > NINE) break
    seq = seq * 10 + code - ZERO
  }
  const topic = topicIn(text, at + BEFORE_TOPIC, dataAt - AFTER_TOPIC)
  return { type: 'publish', seq, topic, data: new RawJson(text.slice(dataAt, -1), isDeep, isAscii) }
}

function endsAsString(text: string, dataAt: number): boolean {
  if (text.charCodeAt(dataAt) !== QUOTE) return false
  STRING.lastIndex = dataAt
  return STRING.test(text) && STRING.lastIndex === text.length
}

function endsAsValue(text: string, dataAt: number): boolean {
  const end = valueEnd(text, dataAt)
  return end === text.length - 1 && text.charCodeAt(end) === END_BRACE && !(levels > 0 && isSuspicious(text))
}

function topicIn(text: string, start: number, end: number): string {
  if (end - start !== lastTopic.length || !text.startsWith(lastTopic, start)) lastTopic = own(text.slice(start, end))
  return lastTopic
}
