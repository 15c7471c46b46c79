import { Buffer } from 'node:buffer'
import { encodeRecord } from '../../shared/codec.ts'
import type { Delivery } from '../broker/broker.ts'
import { splitRecord } from '../broker/rules/record.ts'
import type { Stretch } from '../stream/chunk.ts'

/** Maximum bytes per WebSocket message; see `PART_BYTES` of the engines. */
const STRETCH_BYTES = 14_000

/** Encodes a delivery for a consumer, with its number. */
export function deliveryFrame(
  consumer: number,
  delivery: number,
  { wire, attempt, lastError }: Delivery,
): string | Uint8Array {
  let head = `{"type":"delivery","consumer":${consumer},"delivery":${delivery},"attempt":${attempt}`
  if (lastError !== undefined) head += `,"error":${JSON.stringify(lastError)}`
  if (typeof wire === 'string') return `${head},"message":${wire}}`
  const { header, payload } = splitRecord(wire)
  return encodeRecord(`${head},"message":${header}}`, payload)
}

/** The message id in a wire form. */
export function idIn(wire: string | Uint8Array): string {
  return (JSON.parse(typeof wire === 'string' ? wire : splitRecord(wire).header) as { readonly id: string }).id
}

/** Joins frames into WebSocket messages, in order. */
export function joined(all: readonly { readonly frame: string | Uint8Array }[]): Stretch[] {
  const stretches: Stretch[] = []
  let frames: (string | Uint8Array)[] = []
  let bytes = 0
  const flush = () => {
    if (frames.length > 0) stretches.push(stretchOf(frames))
    frames = []
    bytes = 0
  }
  for (const { frame } of all) {
    const otherKind = typeof frames[0] !== typeof frame
    if (frames.length > 0 && (otherKind || bytes + frame.length > STRETCH_BYTES)) flush()
    frames.push(frame)
    bytes += frame.length
  }
  flush()
  return stretches
}

function stretchOf(frames: readonly (string | Uint8Array)[]): Stretch {
  return typeof frames[0] === 'string'
    ? { wires: Buffer.from(frames.join(',')), binary: false, count: frames.length }
    : { wires: Buffer.concat(frames as Uint8Array[]), binary: true, count: frames.length }
}
