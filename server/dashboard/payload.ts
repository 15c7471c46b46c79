/** A payload as a person can read it. */
export interface ShownPayload {
  /** Of a long one, its beginning. */
  readonly text: string
  readonly format: 'json' | 'text' | 'hex' | 'none'
  /** In bytes or characters, if the text is not all of it. */
  readonly cutFrom: number | undefined
}

const MAX_HEX_BYTES = 1000

/** JSON text is shown as it is; bytes are shown as text if they are text. `maxText` is in characters. */
export function shownPayload(data: string | Uint8Array | undefined, maxText: number): ShownPayload {
  if (data === undefined) return { text: '', format: 'none', cutFrom: undefined }
  const isJson = typeof data === 'string'
  const text = isJson ? data : textOf(data)
  if (text !== undefined) {
    const cutFrom = text.length > maxText ? text.length : undefined
    return { text: text.slice(0, maxText), format: isJson ? 'json' : 'text', cutFrom }
  }
  const bytes = data as Uint8Array
  const cutFrom = bytes.length > MAX_HEX_BYTES ? bytes.length : undefined
  return { text: hex(bytes.subarray(0, MAX_HEX_BYTES)), format: 'hex', cutFrom }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
// Everything but tab, line feed and carriage return: what has these is not meant to be read.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this looks for
const CONTROL = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/

/** Undefined if the bytes are not text. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    const text = utf8.decode(bytes)
    return CONTROL.test(text) ? undefined : text
  } catch {
    return undefined
  }
}

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
}
