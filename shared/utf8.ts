/**
 * Text to bytes of UTF-8 and back, on every platform: React Native has had no `TextDecoder`, or one that refuses `fatal`, and no
 * `TextEncoder`. The replacements are slower and do the same; every engine has the `escape` and `unescape` that they need.
 */

const encoder = globalThis.TextEncoder && new TextEncoder()
const decoder = strictDecoder()

/** Half of a surrogate pair becomes U+FFFD. */
export function encodeUtf8(text: string): Uint8Array {
  return encoder ? encoder.encode(text) : encodeEscaped(text)
}

/** Throws if the bytes are not UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string {
  return decoder ? decoder.decode(bytes) : decodeEscaped(bytes)
}

function strictDecoder(): TextDecoder | undefined {
  try {
    // A byte order mark is a character like any other: JSON does not begin with it.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  } catch {
    return undefined
  }
}

function encodeEscaped(text: string): Uint8Array {
  const bytes = unescape(encodeURIComponent(text.replace(/[\ud800-\udfff]/gu, '\ufffd')))
  return Uint8Array.from(bytes, (byte) => byte.charCodeAt(0))
}

function decodeEscaped(bytes: Uint8Array): string {
  return decodeURIComponent(escape(Array.from(bytes, (byte) => String.fromCharCode(byte)).join('')))
}
