import { Buffer, isAscii, isUtf8 } from 'node:buffer'
import { decodeBinary } from '../../shared/codec.ts'
import { FanfareError } from '../../shared/errors.ts'
import { scanFrames } from '../../shared/frame-scanner.ts'

/**
 * The values in one WebSocket message, which `parseFrame` checks next. JSON `data` is `RawJson`. Throws `bad_utf8`, and the errors
 * of `shared/codec.ts` and `shared/frame-scanner.ts`.
 */
export function decodeMessage(bytes: Uint8Array, binary: boolean): unknown[] {
  if (binary) return decodeBinary(bytes)
  // The same characters, and several times as fast. Called directly on the bytes, because a `Buffer` per message would cost as
  // much.
  if (isAscii(bytes)) return scanFrames(latin1Slice.call(bytes, 0, bytes.length), true)
  if (!isUtf8(bytes)) throw new FanfareError('bad_utf8')
  return scanFrames(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString())
}

/** A method of Node's `Buffer` that its types lack. */
const { latin1Slice } = Buffer.prototype as unknown as {
  latin1Slice(this: Uint8Array, start: number, end: number): string
}
