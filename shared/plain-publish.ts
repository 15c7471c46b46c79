import { isSuspicious } from './forbidden-keys.ts'
import type { PublishFrame } from './frames.ts'
import { END_BRACE, levels, NINE, own, QUOTE, valueEnd, ZERO } from './json-scanner.ts'
import { MAX_NESTING } from './nesting.ts'
import { RawJson } from './raw-json.ts'

/** A publish as a client writes it that has one to send: up to its data, or to the end if that is a string without escapes. */
const PLAIN = /\{"type":"publish","seq":(?:0|[1-9]\d*),"topic":"[ !#-[\]-\uffff]+","data":(?:"[ !#-[\]-\uffff]*"\}$)?/y
const SEQ_AT = '{"type":"publish","seq":'.length
const BEFORE_TOPIC = ',"topic":"'.length
const AFTER_TOPIC = '","data":'.length
/** A number with this many digits is exact. */
const MOST_DIGITS = 15
/** Characters of a topic. */
const MOST_TOPIC = 255

/** The topic of the last publish, and often of the next one: comparing is faster than copying, and the same string has its hash already. */
let lastTopic = ''

/**
 * The frame of a text that is one publish with a topic and data, and nothing else, not even white space. Most of it is then read by a
 * regular expression, in half of the time of a walk. Undefined: the walk decides what it is. Throws `not_json`.
 */
export function plainPublish(text: string, isAscii: boolean): PublishFrame | undefined {
  PLAIN.lastIndex = 0
  if (!PLAIN.test(text)) return undefined
  const end = PLAIN.lastIndex
  let seq = 0
  let at = SEQ_AT
  for (; ; at++) {
    const code = text.charCodeAt(at)
    if (code < ZERO || code > NINE) break
    seq = seq * 10 + code - ZERO
  }
  const topic = topicIn(text, at + BEFORE_TOPIC)
  if (topic === undefined || at > SEQ_AT + MOST_DIGITS) return undefined
  const dataAt = at + BEFORE_TOPIC + topic.length + AFTER_TOPIC
  let isDeep = false
  // Otherwise its data is a string without escapes.
  if (end === dataAt) {
    if (!endsAfterValue(text, dataAt)) return undefined
    isDeep = levels > MAX_NESTING
  }
  return { type: 'publish', seq, topic, data: new RawJson(text.slice(dataAt, -1), isDeep, isAscii) }
}

function topicIn(text: string, start: number): string | undefined {
  if (text.charCodeAt(start + lastTopic.length) === QUOTE && text.startsWith(lastTopic, start)) return lastTopic
  const topic = text.slice(start, text.indexOf('"', start))
  if (topic.length > MOST_TOPIC) return undefined
  lastTopic = own(topic)
  return lastTopic
}

function endsAfterValue(text: string, dataAt: number): boolean {
  const end = valueEnd(text, dataAt)
  return end === text.length - 1 && text.charCodeAt(end) === END_BRACE && !(levels > 0 && isSuspicious(text))
}
