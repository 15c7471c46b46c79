import { FanfareError } from './fanfare-error.ts'
import { FORBIDDEN_KEY } from './forbidden-keys.ts'
import { withoutForbiddenText } from './forbidden-text.ts'
import {
  BACKSLASH,
  BRACE,
  BRACKET,
  COMMA,
  END_BRACE,
  END_BRACKET,
  levels,
  NINE,
  notJson,
  own,
  parsed,
  QUOTE,
  SPACE,
  skipColon,
  skipSpace,
  stringEnd,
  valueEnd,
  ZERO,
} from './json-scanner.ts'
import { MAX_NESTING } from './nesting.ts'
import { plainPublish } from './plain-publish.ts'
import { RawJson } from './raw-json.ts'
import type { Fields } from './rules.ts'

const SMALL_D = 0x64
const SMALL_I = 0x69
const SMALL_S = 0x73
const SMALL_T = 0x74

/** Where the walk is. */
let at = 0
/** Whether the walk has come by names that are not known here: one of them may be a forbidden key. */
let hasOtherNames = false
/** Whether all of the text is known to be ASCII. */
let isAscii = false

/**
 * The frames of one text message for programs that forward data: as `decodeText` gives them, except that `data` is `RawJson`, also that of what
 * an ack publishes. Throws `not_json`, `bad_frame`.
 */
export function scanFrames(text: string, textIsAscii = false): unknown[] {
  const plain = plainPublish(text, textIsAscii)
  if (plain) return [plain]
  const frames = scanTrusted(text, textIsAscii)
  // Rare, so its cost does not matter.
  return hasOtherNames ? withoutForbiddenText(text, frames) : frames
}

/** The same for text that the hub itself has made or checked: it does not look for forbidden keys. */
export function scanTrusted(text: string, textIsAscii = false): unknown[] {
  const value = scan(text, textIsAscii)
  const frames: unknown[] = Array.isArray(value) ? value : [value]
  if (frames.length === 0) throw new FanfareError('bad_frame', 'A batch must have at least one frame.')
  return frames
}

/** As `scanFrames`, without a list around a single one; the list may be empty. Throws `not_json`. */
export function scanOneOrMore(text: string): unknown {
  const value = scan(text, false)
  return Array.isArray(value) ? withoutForbiddenText(text, value) : withoutForbiddenText(text, [value])[0]
}

function scan(text: string, textIsAscii: boolean): unknown {
  isAscii = textIsAscii
  hasOtherNames = false
  at = skipSpace(text, 0)
  const value = text.charCodeAt(at) === BRACKET ? listIn(text, true) : objectIn(text, true)
  checkEnd(text)
  return value
}

/** JSON as it is. Throws `not_json`. */
export function scanJson(text: string): RawJson {
  isAscii = false
  at = skipSpace(text, 0)
  const json = rawIn(text)
  checkEnd(text)
  return json
}

function checkEnd(text: string): void {
  if (at < text.length && skipSpace(text, at) < text.length) throw notJson()
}

function listIn(text: string, areFrames: boolean): unknown[] {
  const list: unknown[] = []
  at = skipSpace(text, at + 1)
  if (text.charCodeAt(at) === END_BRACKET) at++
  else
    do list.push(objectIn(text, areFrames))
    while (goesOn(text, END_BRACKET))
  return list
}

/** Whether something else comes before the end of an array or object. */
function goesOn(text: string, end: number): boolean {
  at = skipSpace(text, at)
  const code = text.charCodeAt(at++)
  if (code === end) return false
  if (code !== COMMA) throw notJson()
  at = skipSpace(text, at)
  return true
}

/** A frame, or one of the publishes of an ack; anything else as it is parsed. */
function objectIn(text: string, isFrame: boolean): unknown {
  if (text.charCodeAt(at) !== BRACE) return valueIn(text)
  const fields: Fields = {}
  at = skipSpace(text, at + 1)
  if (text.charCodeAt(at) === END_BRACE) at++
  else
    do fieldIn(text, fields, isFrame)
    while (goesOn(text, END_BRACE))
  return fields
}

function fieldIn(text: string, fields: Fields, isFrame: boolean): void {
  const name = nameIn(text)
  // A name that is known here is stored much faster.
  if (name === 'type') fields['type'] = valueIn(text)
  else if (name === 'seq') fields['seq'] = valueIn(text)
  else if (name === 'topic') fields['topic'] = valueIn(text)
  else if (name === 'id') fields['id'] = valueIn(text)
  else if (name === 'data') fields['data'] = rawIn(text)
  else if (name === 'publish' && isFrame && text.charCodeAt(at) === BRACKET) fields[name] = listIn(text, false)
  else {
    const value = valueIn(text)
    // As a name in code it would set the prototype.
    if (name !== FORBIDDEN_KEY) fields[name] = value
  }
}

function nameIn(text: string): string {
  if (text.charCodeAt(at) !== QUOTE) throw notJson()
  const name = knownNameIn(text) ?? otherNameIn(text)
  at = skipColon(text, at)
  return name
}

/** The fields of nearly every publish. */
function knownNameIn(text: string): string | undefined {
  switch (text.charCodeAt(at + 1)) {
    case SMALL_T:
      if (skipString(text, 'type')) return 'type'
      return skipString(text, 'topic') ? 'topic' : undefined
    case SMALL_S:
      return skipString(text, 'seq') ? 'seq' : undefined
    case SMALL_D:
      return skipString(text, 'data') ? 'data' : undefined
    case SMALL_I:
      return skipString(text, 'id') ? 'id' : undefined
    default:
      return undefined
  }
}

function otherNameIn(text: string): string {
  hasOtherNames = true
  return stringIn(text)
}

/** Goes on after a string if it is this one, without escapes. */
function skipString(text: string, string: string): boolean {
  const end = at + 1 + string.length
  if (end >= text.length || text.charCodeAt(end) !== QUOTE || text.charCodeAt(at) !== QUOTE) return false
  for (let n = 0; n < string.length; n++) if (text.charCodeAt(at + 1 + n) !== string.charCodeAt(n)) return false
  at = end + 1
  return true
}

function rawIn(text: string): RawJson {
  const start = at
  at = pastValue(text)
  const slice = text.slice(start, at)
  return new RawJson(text.length > MOST_AROUND + 2 * slice.length ? own(slice) : slice, levels > MAX_NESTING, isAscii)
}

function valueIn(text: string): unknown {
  const first = text.charCodeAt(at)
  if (first === QUOTE) return stringIn(text)
  if (first > ZERO && first <= NINE) {
    const number = smallIn(text)
    if (number !== undefined) return number
  }
  const start = at
  at = pastValue(text)
  return parsed(text, start, at)
}

function pastValue(text: string): number {
  const end = valueEnd(text, at)
  if (levels > 0) hasOtherNames = true
  return end
}

/** An integer in an object, if it has few enough digits to be summed up exactly. */
function smallIn(text: string): number | undefined {
  let number = 0
  const far = Math.min(text.length, at + 16)
  for (let end = at; end < far; end++) {
    const code = text.charCodeAt(end)
    if (code >= ZERO && code <= NINE) number = number * 10 + code - ZERO
    else if (code !== COMMA && code !== END_BRACE) return undefined
    else {
      at = end
      return number
    }
  }
  return undefined
}

function stringIn(text: string): string {
  const start = at
  for (let end = start + 1; end < text.length; end++) {
    const code = text.charCodeAt(end)
    if (code === QUOTE) {
      at = end + 1
      return own(text.slice(start + 1, end))
    }
    if (code === BACKSLASH) break
    if (code < SPACE) throw notJson()
  }
  at = stringEnd(text, start)
  return parsed(text, start, at) as string
}

/** Characters of other frames that may be kept in memory with data. */
const MOST_AROUND = 1024
