import { Buffer, isAscii, isUtf8 } from 'node:buffer'
import { decodeBinary } from '../../shared/codec.ts'
import { FanfareError } from '../../shared/errors.ts'
import { scanFrames } from '../../shared/frame-scanner.ts'

/**
 * The values in one WebSocket message, each still to be given to `parseFrame`. JSON `data` is `RawJson`. Throws `bad_utf8`, and what
 * `shared/codec.ts` and `shared/frame-scanner.ts` throw.
 */
export function decodeMessage(bytes: Uint8Array, binary: boolean): unknown[] {
  return binary ? decodeBinary(bytes) : scanFrames(textOf(bytes))
}

function textOf(data: Uint8Array): string {
  const buffer = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  // The same characters, and several times as fast.
  if (isAscii(data)) return buffer.toString('latin1')
  if (!isUtf8(data)) throw new FanfareError('bad_utf8')
  return buffer.toString()
}
