import { FanfareError } from './fanfare-error.ts'

/** Levels of arrays and objects that JSON data may have: what one end parses, every other end has to be able to encode again. */
const MAX_NESTING = 100

/** Throws `nested_too_deeply`. */
export function checkNesting(value: unknown): void {
  if (nestsDeeper(value, MAX_NESTING)) throw new FanfareError('nested_too_deeply')
}

/** Whether a value has more than this many levels of arrays and objects; looks no further than one level beyond. */
function nestsDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return false
  if (levels === 0) return true
  if (Array.isArray(value)) return value.some((each) => nestsDeeper(each, levels - 1))
  const fields = value as Record<string, unknown>
  for (const name in fields) if (nestsDeeper(fields[name], levels - 1)) return true
  return false
}

/**
 * The data of a stored message for JSON: as it is, or as text if it is nested so deeply that it cannot be encoded within
 * something else. Hubs before this bound took such messages.
 */
export function encodable(data: unknown): { readonly data?: unknown; readonly json?: string } {
  if (data === undefined) return {}
  return nestsDeeper(data, MAX_NESTING) ? { json: jsonOfAnyDepth(data) } : { data }
}

/** `JSON.stringify` for what `JSON.parse` gave, without a stack of calls that the depth could exhaust. */
function jsonOfAnyDepth(value: unknown): string {
  const pieces: string[] = []
  const open: (string | { readonly value: unknown })[] = [{ value }]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (typeof next === 'string') pieces.push(next)
    else if (typeof next.value !== 'object' || next.value === null) pieces.push(JSON.stringify(next.value))
    else {
      const isList = Array.isArray(next.value)
      const parts: typeof open = [isList ? '[' : '{']
      for (const [name, each] of Object.entries(next.value)) {
        const comma = parts.length > 1 ? ',' : ''
        parts.push(isList ? comma : `${comma}${JSON.stringify(name)}:`, { value: each })
      }
      parts.push(isList ? ']' : '}')
      for (const part of parts.reverse()) open.push(part)
    }
  }
  return pieces.join('')
}
