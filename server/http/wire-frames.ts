import { Buffer } from 'node:buffer'
import { decodeBinary } from '../../shared/codec.ts'
import { scanTrusted } from '../../shared/frame-scanner.ts'
import type { HubFrame } from '../../shared/frames.ts'
import type { Batch, Part } from '../engine/batch.ts'

/** Parts are shared by all connections that get the same content: each is parsed once. */
const parsed = new WeakMap<Part, readonly HubFrame[]>()

/** The frames that the hub has written: one list per WebSocket message that they would have been. */
export function framesOf({ parts }: Batch): (readonly HubFrame[])[] {
  return parts.map((part) => {
    const known = parsed.get(part)
    if (known) return known
    const frames = parse(part)
    parsed.set(part, frames)
    return frames
  })
}

function parse({ payload, binary }: Part): HubFrame[] {
  if (binary) return decodeBinary(payload) as HubFrame[]
  const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString()
  return scanTrusted(text) as HubFrame[]
}
