import { skipSpace, valueEnd } from '../../shared/json-text.ts'

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
