import { FanfareError } from './fanfare-error.ts'

// Walks JSON without making values of it. What it accepts is what `JSON.parse` accepts.

const TAB = 0x09
const LINE_FEED = 0x0a
const RETURN = 0x0d
export const SPACE = 0x20
export const QUOTE = 0x22
const PLUS = 0x2b
export const COMMA = 0x2c
const MINUS = 0x2d
const POINT = 0x2e
export const ZERO = 0x30
export const NINE = 0x39
export const COLON = 0x3a
export const BRACKET = 0x5b
export const BACKSLASH = 0x5c
export const END_BRACKET = 0x5d
const SMALL_E = 0x65
export const BRACE = 0x7b
export const END_BRACE = 0x7d

/** From the code of a bracket or brace to that of its end. */
const TO_END = END_BRACKET - BRACKET

/** Characters of a string that are looked at one by one: a regular expression is faster for more. */
const FEW = 24
/** What a string is made of up to its end or its first escape. */
const PLAIN = /[ !#-[\]-\uffff]*/y

/** How each array and object ends that is open. Kept between calls if it is not large. */
let ends: number[] = []
const MOST_KEPT = 1000

/** Levels of arrays and objects in the value that `valueEnd` has walked last. */
export let levels = 0

/** The place after the value that begins here. Throws `not_json`. */
export function valueEnd(text: string, start: number): number {
  let at = start
  let depth = 0
  levels = 0
  for (;;) {
    const first = text.charCodeAt(at)
    if (first === BRACE || first === BRACKET) {
      ends[depth++] = first + TO_END
      if (depth > levels) levels = depth
      at = skipSpace(text, at + 1)
      if (text.charCodeAt(at) !== first + TO_END) {
        if (first === BRACE) at = nameEnd(text, at)
        continue
      }
    } else at = first === QUOTE ? stringEnd(text, at) : scalarEnd(text, at)
    // Here a value has ended, or an empty array or object ends.
    for (;;) {
      if (depth === 0) break
      at = skipSpace(text, at)
      const next = text.charCodeAt(at++)
      if (next === COMMA) {
        at = skipSpace(text, at)
        if (ends[depth - 1] === END_BRACE) at = nameEnd(text, at)
        break
      }
      if (next !== ends[--depth]) throw notJson()
    }
    if (depth > 0) continue
    if (ends.length > MOST_KEPT) ends = []
    return at
  }
}

/** The place of the next character that is not white space. */
export function skipSpace(text: string, from: number): number {
  let at = from
  // Never beyond the end: reading there makes `charCodeAt` slower from then on.
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code > SPACE || (code !== SPACE && code !== LINE_FEED && code !== RETURN && code !== TAB)) break
  }
  return at
}

/** The place of the value whose name begins here. */
function nameEnd(text: string, at: number): number {
  if (text.charCodeAt(at) !== QUOTE) throw notJson()
  return skipColon(text, stringEnd(text, at))
}

/** The place of the value whose name ends here. */
export function skipColon(text: string, from: number): number {
  const at = skipSpace(text, from)
  if (text.charCodeAt(at) !== COLON) throw notJson()
  return skipSpace(text, at + 1)
}

/** The place after the string whose quote is here. */
export function stringEnd(text: string, start: number): number {
  const far = Math.min(text.length, start + FEW)
  let at = start + 1
  for (; at < far; at++) {
    const code = text.charCodeAt(at)
    if (code > BACKSLASH) continue
    if (code === QUOTE) return at + 1
    if (code === BACKSLASH) return escapedEnd(text, start)
    if (code < SPACE) throw notJson()
  }
  PLAIN.lastIndex = at
  PLAIN.test(text)
  const end = PLAIN.lastIndex
  return text[end] === '"' ? end + 1 : escapedEnd(text, start)
}

/** The end of a string that has escapes, or does not end as it should. */
function escapedEnd(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end > 0; end = text.indexOf('"', end + 1)) {
    let escapes = 0
    while (text.charCodeAt(end - 1 - escapes) === BACKSLASH) escapes++
    if (escapes % 2 === 1) continue
    parsed(text, start, end + 1)
    return end + 1
  }
  throw notJson()
}

/** The place after a number, `true`, `false` or `null`. */
function scalarEnd(text: string, start: number): number {
  let at = start
  if (text.charCodeAt(at) === MINUS) at++
  const first = text.charCodeAt(at)
  if (!(first >= ZERO && first <= NINE)) return wordEnd(text, start)
  at = first === ZERO ? at + 1 : digitsEnd(text, at)
  if (text.charCodeAt(at) === POINT) at = digitsEnd(text, at + 1)
  if ((text.charCodeAt(at) | SPACE) !== SMALL_E) return at
  const sign = text.charCodeAt(++at)
  return digitsEnd(text, sign === PLUS || sign === MINUS ? at + 1 : at)
}

/** The place after one digit or more. */
function digitsEnd(text: string, start: number): number {
  let at = start
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code < ZERO || code > NINE) break
  }
  if (at === start) throw notJson()
  return at
}

function wordEnd(text: string, start: number): number {
  for (const word of ['true', 'false', 'null']) if (text.startsWith(word, start)) return start + word.length
  throw notJson()
}

/** The value of a part of the text. Throws `not_json`. */
export function parsed(text: string, start: number, end: number): unknown {
  try {
    return JSON.parse(text.slice(start, end))
  } catch {
    throw notJson()
  }
}

export function notJson(): FanfareError {
  return new FanfareError('not_json')
}

/** Slices of fewer characters are copies in V8. */
const SLICED = 13

/** The same characters without the text that they were cut from: an id that is remembered would keep a whole message. */
export function own(slice: string): string {
  return slice.length < SLICED ? slice : ` ${slice}`.slice(1)
}
