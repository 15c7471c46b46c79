/**
 * Parts of JSON text as they stand there: a parsed number is a double, and has lost what a double cannot hold. The text has to be JSON;
 * from other text comes other text.
 */

/** The items of an array; of anything else the text itself. */
export function itemsOf(json: string): string[] {
  let at = skipSpace(json, 0)
  if (json[at] !== '[') return [json]
  const items: string[] = []
  for (at = skipSpace(json, at + 1); at < json.length && json[at] !== ']'; ) {
    const end = valueEnd(json, at)
    items.push(json.slice(at, end))
    at = skipSeparator(json, end)
  }
  return items
}

/** The value of a field of an object. Undefined: there is none, or it is no object. */
export function fieldOf(json: string, wanted: string): string | undefined {
  let found: string | undefined
  for (let at = skipSpace(json, skipSpace(json, 0) + 1); json[at] === '"'; ) {
    const name = json.slice(at, stringEnd(json, at))
    const start = skipSpace(json, skipSpace(json, at + name.length) + 1)
    const end = valueEnd(json, start)
    if (name === `"${wanted}"`) found = json.slice(start, end)
    at = skipSeparator(json, end)
  }
  return found
}

/** The place after the value that begins here. Always moves on. */
export function valueEnd(json: string, at: number): number {
  const first = json[at]
  if (first === '"') return stringEnd(json, at)
  if (first !== '{' && first !== '[') {
    SCALAR.lastIndex = at
    return SCALAR.test(json) ? SCALAR.lastIndex : at + 1
  }
  let depth = 0
  STRUCTURE.lastIndex = at
  for (let found = STRUCTURE.exec(json); found; found = STRUCTURE.exec(json)) {
    if (found[0] === '"') STRUCTURE.lastIndex = stringEnd(json, found.index)
    else if (found[0] === '{' || found[0] === '[') depth++
    else if (--depth === 0) return STRUCTURE.lastIndex
  }
  return json.length
}
const SCALAR = /[^\s,:"{}[\]]+/y
/** What arrays, objects and strings begin or end with. Set its `lastIndex` before each use. */
export const STRUCTURE = /["{}[\]]/g

/** The place after the string whose quote is here. */
export function stringEnd(json: string, at: number): number {
  for (let end = json.indexOf('"', at + 1); end >= 0; end = json.indexOf('"', end + 1)) {
    let escapes = 0
    while (json[end - 1 - escapes] === '\\') escapes++
    if (escapes % 2 === 0) return end + 1
  }
  return json.length
}

export function skipSpace(json: string, at: number): number {
  SPACE.lastIndex = at
  return SPACE.test(json) ? SPACE.lastIndex : at
}
const SPACE = /\s+/y

function skipSeparator(json: string, at: number): number {
  const next = skipSpace(json, at)
  return json[next] === ',' ? skipSpace(json, next + 1) : next
}
