/**
 * The frames of one text message, with the `data` of each as a string that holds its JSON text. Whoever parses the result
 * has every number, key and escape as the hub sent it: a parsed number is a double, and has lost what a double cannot hold.
 * Text that is not JSON comes back as something that is not JSON either.
 */
export function withRawData(message: string): string {
  let changed = ''
  let copied = 0
  let at = skipSpace(message, 0)
  const isBatch = message[at] === '['
  if (isBatch) at = skipSpace(message, at + 1)
  while (message[at] === '{') {
    at = skipSpace(message, at + 1)
    while (message[at] === '"') {
      const name = message.slice(at, stringEnd(message, at))
      const start = skipSpace(message, skipSpace(message, at + name.length) + 1)
      const end = valueEnd(message, start)
      if (name === '"data"') {
        changed += message.slice(copied, start) + JSON.stringify(message.slice(start, end))
        copied = end
      }
      at = skipSeparator(message, end)
    }
    if (!isBatch) break
    at = skipSeparator(message, at + 1)
  }
  return changed + message.slice(copied)
}

/** JSON text with line breaks and indentation between its tokens, which stay as they are. */
export function indented(json: string): string {
  let text = ''
  let indent = '\n'
  for (let at = skipSpace(json, 0); at < json.length; at = skipSpace(json, at)) {
    const character = json[at] as string
    if (character === '{' || character === '[') {
      const next = skipSpace(json, at + 1)
      if (json[next] === '}' || json[next] === ']') {
        text += character + json[next]
        at = next + 1
        continue
      }
      indent += '  '
      text += character + indent
      at++
    } else if (character === '}' || character === ']') {
      indent = indent.slice(0, -2) || '\n'
      text += indent + character
      at++
    } else if (character === ',' || character === ':') {
      text += character === ',' ? character + indent : ': '
      at++
    } else {
      const end = valueEnd(json, at)
      text += json.slice(at, end)
      at = end
    }
  }
  return text
}

/** Behind the value that begins here. Always moves on. */
function valueEnd(json: string, at: number): number {
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
const STRUCTURE = /["{}[\]]/g

/** Behind the string whose opening quote is here. */
function stringEnd(json: string, at: number): number {
  for (let end = json.indexOf('"', at + 1); end >= 0; end = json.indexOf('"', end + 1)) {
    let escapes = 0
    while (json[end - 1 - escapes] === '\\') escapes++
    if (escapes % 2 === 0) return end + 1
  }
  return json.length
}

function skipSpace(json: string, at: number): number {
  SPACE.lastIndex = at
  return SPACE.test(json) ? SPACE.lastIndex : at
}
const SPACE = /\s+/y

function skipSeparator(json: string, at: number): number {
  const next = skipSpace(json, at)
  return json[next] === ',' ? skipSpace(json, next + 1) : next
}
