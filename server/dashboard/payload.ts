/** A payload in readable form. */
export interface ShownPayload {
  /** The text, or its beginning if it is long. */
  readonly text: string
  readonly format: 'json' | 'text' | 'hex' | 'none'
  /** The full size in bytes or characters, if the text is cut. */
  readonly cutFrom: number | undefined
}

const MAX_HEX_BYTES = 1000

/** JSON is shown as it is, bytes as text if they are valid UTF-8 text, otherwise in hexadecimal. `maxText` is in characters. */
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
// Control characters except tab, line feed and carriage return: data with these is not meant to be read.
// biome-ignore lint/suspicious/noControlCharactersInRegex: this pattern looks for them
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
