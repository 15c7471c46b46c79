import { FanfareError } from './fanfare-error.ts'

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

/** Throws `forbidden_key` if the value, which was parsed from the text, has one. */
export function checkKeys(text: string, value: unknown): void {
  if (isSuspicious(text) && hasForbiddenKey(value)) throw new FanfareError('forbidden_key')
}

/** Frames that were parsed from the text, with a `ForbiddenFrame` for each that has a forbidden key. */
export function withoutForbidden(text: string, frames: unknown[]): unknown[] {
  if (!isSuspicious(text)) return frames
  return frames.map((frame) => (hasForbiddenKey(frame) ? new ForbiddenFrame(frame as object) : frame))
}

/** Not recursive: a value may be nested more deeply than the stack allows. */
function hasForbiddenKey(value: unknown): boolean {
  const values = [value]
  for (const each of values) {
    if (typeof each !== 'object' || each === null) continue
    for (const [name, field] of Object.entries(each)) {
      const changesClass = name === 'constructor' && Object.hasOwn(Object(field), 'prototype')
      if (name === FORBIDDEN_KEY || changesClass) return true
      values.push(field)
    }
  }
  return false
}
