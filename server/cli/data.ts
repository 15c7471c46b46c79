import { rawJson } from '../../client/raw-json.ts'
import { encodeJson, RawJson } from '../../shared/raw-json.ts'
import { UsageError } from './usage.ts'

/**
 * Parses the data argument: JSON as it is, any other text as a string. Text that begins like a JSON object, array or string but is
 * not JSON is a mistake: it throws a `UsageError`. With `asText` everything is a string.
 */
export function parseData(text: string, asText = false): unknown {
  if (asText) return text
  try {
    JSON.parse(text)
  } catch (error) {
    if (!/^\s*[[{"]/.test(text)) return text
    const { message } = error as SyntaxError
    throw new UsageError(`The data is not valid JSON: ${message}. Correct it, or send it as text with --text.`)
  }
  return rawJson(text)
}

/** Data in a form that fits into a line of JSON: JSON as its text, bytes as base64. */
export function shownData({ data, raw }: { readonly data?: unknown; readonly raw?: string | undefined }): {
  readonly data?: unknown
  readonly base64?: string
} {
  if (data instanceof Uint8Array) return { base64: Buffer.from(data).toString('base64') }
  return raw === undefined ? {} : { data: new RawJson(raw) }
}

/** JSON on one line. Line breaks between the tokens of a payload are removed. */
export function jsonLine(value: unknown): string {
  return encodeJson(value).replace(/[\r\n]/g, ' ')
}
