import { decodeText, encodeFrame } from '../shared/codec.ts'
import type { Frame } from '../shared/frames.ts'
import { parseFrame } from '../shared/parse-frame.ts'

/** Refuses here what the hub would answer by closing for good: one wrong publish must not end the client. */
export function encodeChecked(frame: Frame): string | Uint8Array {
  parseFrame(frame)
  const encoded = encodeFrame(frame)
  // The decoder refuses "__proto__" and "constructor" with "prototype"; few frames have to be asked about it.
  if (typeof encoded === 'string' && encoded.includes('proto')) decodeText(encoded)
  return encoded
}
