import { Buffer } from 'node:buffer'
import { LENGTHS_BYTES } from '../../../shared/codec.ts'

/**
 * The header and the payload of a binary record encoded by a hub: see `shared/codec.ts`. The payload is a view of the record.
 * Nothing is checked; `decodeBinary` reads what peers send.
 */
export function splitRecord(record: Uint8Array): { readonly header: string; readonly payload: Buffer } {
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength)
  const payloadAt = LENGTHS_BYTES + bytes.readUInt32BE(0)
  return { header: bytes.toString('utf8', LENGTHS_BYTES, payloadAt), payload: bytes.subarray(payloadAt) }
}
