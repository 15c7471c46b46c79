/**
 * Parts of JSON text, unchanged: a parsed number is a double, and has lost what a double cannot hold. The text has to be JSON;
 * for other text the result is undefined.
 */

/** The items of an array; of anything else the text itself. */
export function itemsOf(json: string): string[] {
  return json.trimStart().startsWith('[') ? partsOf(json) : [json]
}

/** The value of a field of an object. Undefined: there is none, or it is not an object. */
export function fieldOf(json: string, wanted: string): string | undefined {
  let found: string | undefined
  for (const part of partsOf(json)) {
    const name = `"${wanted}"`
    const rest = part.startsWith(name) ? part.slice(name.length).trimStart() : ''
    // The last of several fields of one name counts, as in `JSON.parse`.
    if (rest.startsWith(':')) found = rest.slice(1).trimStart()
  }
  return found
}

/** The items of an array, or the fields of an object with their names. */
function partsOf(json: string): string[] {
  const parts: string[] = []
  const signs = /["{}[\],]/g
  let depth = 0
  let start = 0
  for (let found = signs.exec(json); found; found = signs.exec(json)) {
    const { 0: sign, index } = found
    if (sign === '"') signs.lastIndex = stringEnd(json, index)
    else if (sign === '{' || sign === '[') {
      if (depth++ === 0) start = index + 1
    } else if (sign === ',' ? depth === 1 : --depth === 0) {
      parts.push(json.slice(start, index).trim())
      start = index + 1
    }
  }
  // An empty array or object has one part, which is empty.
  return parts.filter(Boolean)
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
