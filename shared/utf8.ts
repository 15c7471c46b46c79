/**
 * Text to bytes of UTF-8 and back, on every platform: React Native has had no `TextDecoder`, or one that refuses `fatal`, and no
 * `TextEncoder`. What stands in for them is slower and does the same.
 */

let encode: ((text: string) => Uint8Array) | undefined
let decode: ((bytes: Uint8Array) => string) | undefined

/** Half of a surrogate pair becomes U+FFFD. */
export function encodeUtf8(text: string): Uint8Array {
  encode ??= encoder()
  return encode(text)
}

/** Throws if the bytes are not UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string {
  decode ??= decoder()
  return decode(bytes)
}

function encoder(): (text: string) => Uint8Array {
  if (!globalThis.TextEncoder) return encodeEscaped
  const utf8 = new TextEncoder()
  return (text) => utf8.encode(text)
}

function decoder(): (bytes: Uint8Array) => string {
  try {
    const strictUtf8 = new TextDecoder('utf-8', { fatal: true })
    return (bytes) => strictUtf8.decode(bytes)
  } catch {
    return decodeEscaped
  }
}

function encodeEscaped(text: string): Uint8Array {
  const escaped = encodeURIComponent(text.replace(/[\ud800-\udfff]/gu, '\ufffd'))
  const bytes = escaped.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Uint8Array.from(bytes, (byte) => byte.charCodeAt(0))
}

function decodeEscaped(bytes: Uint8Array): string {
  return decodeURIComponent(Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''))
}
