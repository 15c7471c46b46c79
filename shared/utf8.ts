/**
 * Text to bytes of UTF-8 and back, on every platform: React Native has had no `TextDecoder`, or one that refuses `fatal`, and no
 * `TextEncoder`. What stands in for them is slower and does the same; every engine has the `escape` and `unescape` that it needs.
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
    return new TextDecoder('utf-8', { fatal: true })
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
