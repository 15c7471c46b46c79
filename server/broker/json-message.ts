import { Buffer } from 'node:buffer'
import { scanTrusted } from '../../shared/frame-scanner.ts'
import type { JsonMessage } from '../../shared/json-message.ts'
import { encodable } from '../../shared/nesting.ts'

/** The message of a wire form, its text or the bytes of a record: `data` is `RawJson`. */
export function jsonMessage(wire: string | Uint8Array): JsonMessage {
  if (typeof wire === 'string') return withoutType(wire)
  const record = Buffer.from(wire.buffer, wire.byteOffset, wire.byteLength)
  const payloadAt = 8 + record.readUInt32BE(0)
  return { ...withoutType(record.toString('utf8', 8, payloadAt)), base64: record.toString('base64', payloadAt) }
}

function withoutType(json: string): JsonMessage {
  const [frame] = scanTrusted(json)
  const { type: _, data, ...message } = frame as JsonMessage & { type: string }
  return { ...message, ...encodable(data) }
}
