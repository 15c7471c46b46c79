/**
 * Fourteen random characters: unique, and not a secret. Pages without HTTPS have `crypto` as well; React Native has none, and there
 * `Math.random` is good enough to be unique.
 */
export function randomId(): string {
  const bytes = Uint8Array.from({ length: 14 }, () => Math.random() * 256)
  const { crypto } = globalThis as { readonly crypto?: Partial<Crypto> }
  crypto?.getRandomValues?.(bytes)
  return Array.from(bytes, (byte) => (byte & 31).toString(32)).join('')
}
