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
  // The same characters, and several times as fast. Called on the bytes as they are: a `Buffer` for each message would cost as much.
  if (isAscii(data)) return latin1Slice.call(data, 0, data.length)
  if (!isUtf8(data)) throw new FanfareError('bad_utf8')
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString()
}

/** A method of Node's `Buffer` that its types lack. */
const { latin1Slice } = Buffer.prototype as unknown as {
  latin1Slice(this: Uint8Array, start: number, end: number): string
}
