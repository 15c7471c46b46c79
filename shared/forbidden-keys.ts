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
      if (typeof value === 'number' || name === 'type') Object.assign(this, { [name]: value })
    }
  }
}

/** Whether JSON text may have a forbidden key, however it is spelled. Few texts may, so that few values have to be searched. */
export function isSuspicious(text: string): boolean {
  return SUSPICIOUS.test(text)
}

/** Throws `forbidden_key` if JSON text has one. */
export function checkKeys(json: string): void {
  if (isSuspicious(json) && hasForbiddenKey(JSON.parse(json))) throw new FanfareError('forbidden_key')
}

export function withoutForbidden(frame: unknown): unknown {
  return hasForbiddenKey(frame) ? new ForbiddenFrame(frame as object) : frame
}

export function hasForbiddenKey(value: unknown): boolean {
  const open: unknown[] = [value]
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (typeof node !== 'object' || node === null) continue
    if (Object.hasOwn(node, FORBIDDEN_KEY)) return true
    const maker: unknown = Object.hasOwn(node, 'constructor') ? node.constructor : undefined
    if (typeof maker === 'object' && maker !== null && Object.hasOwn(maker, 'prototype')) return true
    for (const child of Object.values(node)) if (child !== undefined) open.push(child)
  }
  return false
}
