import { FanfareError } from './fanfare-error.ts'
import { FORBIDDEN_KEY, ForbiddenFrame, isSuspicious } from './forbidden-keys.ts'
import { itemsOf, STRUCTURE, skipSpace, stringEnd } from './json-text.ts'

// The same as `forbidden-keys.ts` for JSON that goes on as its text: `JSON.parse` does not show what a later field of the same name
// replaces, but other readers may take the first.

/** Throws `forbidden_key` if JSON text has one. */
export function checkKeysOf(json: string): void {
  if (isSuspicious(json) && hasForbiddenKey(json)) throw new FanfareError('forbidden_key')
}

/** Frames that were read from JSON text, with a `ForbiddenFrame` for each whose text has a forbidden key. */
export function withoutForbiddenText(json: string, frames: unknown[]): unknown[] {
  if (!isSuspicious(json)) return frames
  const texts = itemsOf(json)
  return frames.map((frame, n) => (hasForbiddenKey(texts[n] as string) ? new ForbiddenFrame(frame as object) : frame))
}

function hasForbiddenKey(json: string): boolean {
  /** The names of the fields whose arrays and objects are open. */
  const open: string[] = []
  let name = ''
  STRUCTURE.lastIndex = 0
  for (let found = STRUCTURE.exec(json); found; found = STRUCTURE.exec(json)) {
    const start = found.index
    if (json[start] === '"') {
      const end = stringEnd(json, start)
      STRUCTURE.lastIndex = end
      if (json[skipSpace(json, end)] !== ':') continue
      name = JSON.parse(json.slice(start, end))
      if (name === FORBIDDEN_KEY || (name === 'prototype' && open.at(-1) === 'constructor')) return true
    } else {
      if (found[0] === '{' || found[0] === '[') open.push(name)
      else open.pop()
      name = ''
    }
  }
  return false
}
