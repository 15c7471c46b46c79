import type { HubFrame } from '../../shared/frames.ts'
import { encodeJson } from '../../shared/raw-json.ts'
import { type Batch, BatchBuilder } from '../engine/batch.ts'
import type { Stretch } from '../stream/chunk.ts'
import { Encoded } from '../topic/encoded.ts'
import { gapFrame, type PendingGap } from './gap.ts'

/** A write of this size does not wait for the end of the turn, and takes no more waiting frames. */
export const WRITE_BYTES = 64 * 1024

/** The content of one write, and its counts. */
export interface Outgoing {
  readonly batch: Batch
  readonly messages: number
  readonly receipts: number
}

/** Joins stored messages; for one subscription only, if `sub` is given. */
export function joined(stretches: readonly Stretch[], sub: number | undefined): Outgoing {
  const builder = new BatchBuilder()
  builder.scope(sub)
  let messages = 0
  for (const { wires, binary, count } of stretches) {
    builder.addJoined(wires, binary)
    messages += count
  }
  return { batch: builder.build(), messages, receipts: 0 }
}

export function encode(frame: HubFrame): Encoded {
  if (!('data' in frame && frame.data instanceof Uint8Array)) return new Encoded(encodeJson(frame))
  return new Encoded(JSON.stringify({ ...frame, data: undefined }), frame.data)
}

export function addGap(builder: BatchBuilder, gap: PendingGap): number {
  const frame = new Encoded(JSON.stringify(gapFrame(gap)))
  builder.add(frame)
  return frame.bytes
}
