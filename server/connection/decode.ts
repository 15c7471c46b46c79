import { Buffer, isAscii, isUtf8 } from 'node:buffer'
import { decodeBinary, decodeText } from '../../shared/codec.ts'
import { FanfareError } from '../../shared/errors.ts'

/** The values in one WebSocket message, each still to be given to `parseFrame`. Throws what `shared/codec.ts` does, `bad_utf8`. */
export function decodeMessage(bytes: Uint8Array, binary: boolean): unknown[] {
  return binary ? decodeBinary(bytes) : decodeText(textOf(bytes))
}

function textOf(data: Uint8Array): string {
  if (!isUtf8(data)) throw new FanfareError('bad_utf8')
  const buffer = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  // The same characters, and several times as fast.
  return isAscii(data) ? buffer.toString('latin1') : buffer.toString()
}
