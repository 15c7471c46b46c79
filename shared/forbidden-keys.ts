import { FanfareError } from './fanfare-error.ts'
import { itemsOf, STRUCTURE, skipSpace, stringEnd } from './json-text.ts'

// A message is handed on to applications that may merge it into objects, where these keys change every object of the
// process (CVE-2018-3728 and its like). JSON.parse keeps them as plain own properties, so the hub itself is safe.
/** A key that no JSON of this protocol has: clients refuse it, and assigned to a plain object it would change its prototype. */
export const FORBIDDEN_KEY = '__proto__'
const SUSPICIOUS = /__proto__|prototype|\\u00[567]/i

/** Stands for a frame that has a forbidden key: which one it is, and nothing else of it. `parseFrame` refuses it. */
export class ForbiddenFrame {
  readonly type: unknown

  constructor(frame: object) {
    for (const [name, value] of Object.entries(frame)) {
      if (name === 'type' || (typeof value === 'number' && name !== 'data')) Object.assign(this, { [name]: value })
    }
  }
}

/** Whether JSON text may have a forbidden key, however it is spelled. Few texts may, so that few values have to be searched. */
export function isSuspicious(text: string): boolean {
  return SUSPICIOUS.test(text)
}

/** Throws `forbidden_key` if JSON text has one. */
export function checkKeys(json: string): void {
  if (isSuspicious(json) && hasForbiddenKey(json)) throw new FanfareError('forbidden_key')
}

/** Frames that were read from JSON text, with a `ForbiddenFrame` for each whose text has a forbidden key. */
export function withoutForbidden(json: string, frames: unknown[]): unknown[] {
  if (!isSuspicious(json)) return frames
  const texts = itemsOf(json)
  return frames.map((frame, n) => (hasForbiddenKey(texts[n] as string) ? new ForbiddenFrame(frame as object) : frame))
}

/**
 * Whether JSON has a forbidden key. It is looked for in the text: `JSON.parse` does not show what a later field of the same name
 * replaces, but data goes on as text, and other readers may take the first. The text has to be JSON.
 */
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
