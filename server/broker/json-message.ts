import { scanTrusted } from '../../shared/frame-scanner.ts'
import type { JsonMessage } from '../../shared/json-message.ts'
import { encodable } from '../../shared/nesting.ts'
import { splitRecord } from './rules/record.ts'

/** The message in a wire form, which is text or the bytes of a record: `data` is `RawJson`. */
export function jsonMessage(wire: string | Uint8Array): JsonMessage {
  if (typeof wire === 'string') return withoutType(wire)
  const { header, payload } = splitRecord(wire)
  return { ...withoutType(header), base64: payload.toString('base64') }
}

function withoutType(json: string): JsonMessage {
  const [frame] = scanTrusted(json)
  const { type: _, data, ...message } = frame as JsonMessage & { type: string }
  return { ...message, ...encodable(data) }
}
