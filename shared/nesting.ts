import { FanfareError } from './fanfare-error.ts'
import { RawJson } from './raw-json.ts'

/** Levels of arrays and objects that JSON data may have: what one end parses, every other end has to be able to encode again. */
export const MAX_NESTING = 100

/** Throws `nested_too_deeply`. */
export function checkNesting(value: unknown): void {
  if (nestsDeeper(value, MAX_NESTING)) throw new FanfareError('nested_too_deeply')
}

/** Whether a value has more than this many levels of arrays and objects; looks no further than one level beyond. */
function nestsDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return false
  if (value instanceof RawJson) return value.isDeep
  if (levels === 0) return true
  if (Array.isArray(value)) return value.some((each) => nestsDeeper(each, levels - 1))
  const fields = value as Record<string, unknown>
  for (const name in fields) if (nestsDeeper(fields[name], levels - 1)) return true
  return false
}

/**
 * The data of a stored message for JSON: as it is, or as text if it is nested so deeply that readers may not take it within something
 * else. Hubs before this bound took such messages.
 */
export function encodable(data: unknown): { readonly data?: unknown; readonly json?: string } {
  if (data === undefined) return {}
  return data instanceof RawJson && data.isDeep ? { json: data.text } : { data }
}
