import { rawJson } from '../../client/raw-json.ts'
import { FanfareError } from '../../shared/errors.ts'
import { encodeJson, RawJson } from '../../shared/raw-json.ts'

/** The data of a command line: JSON as it is, or what is not JSON as a string. */
export function parseData(text: string): unknown {
  try {
    return rawJson(text)
  } catch (error) {
    if (error instanceof FanfareError && error.code !== 'bad_data') throw error
    return text
  }
}

/** Data as a line of JSON can show it: JSON by its text, bytes as base64. */
export function shownData({ data, raw }: { readonly data?: unknown; readonly raw?: string | undefined }): {
  readonly data?: unknown
  readonly base64?: string
} {
  if (data instanceof Uint8Array) return { base64: Buffer.from(data).toString('base64') }
  return raw === undefined ? {} : { data: new RawJson(raw) }
}

/** JSON in one line: what stands in its own lines between the tokens of a payload is put into this one. */
export function jsonLine(value: unknown): string {
  return encodeJson(value).replace(/[\r\n]/g, ' ')
}
