import { type Clock, wallTime } from '../../shared/clock.ts'
import type { HubFrame } from '../../shared/frames.ts'
import { type Batch, BatchBuilder } from '../engine/batch.ts'
import type { Stretch } from '../stream/chunk.ts'
import { Encoded } from '../topic/encoded.ts'
import type { Backlog } from './backlog.ts'
import { type Gap, gapFrame } from './gap.ts'

/** Bytes after which a write does not wait for the end of the turn, and takes no more of what waits. */
export const WRITE_BYTES = 64 * 1024

/** What goes out in one write, and what of it is counted. */
export interface Outgoing {
  readonly batch: Batch
  readonly messages: number
  readonly receipts: number
}

/** Takes the next of what waits; messages that have expired meanwhile are let go. */
export function takeFrom(backlog: Backlog, clock: Pick<Clock, 'now' | 'wall'>): Outgoing {
  const run = backlog.firstRun
  if (run) {
    backlog.shift()
    return { batch: run.toBatch(), messages: run.count, receipts: 0 }
  }
  const builder = new BatchBuilder()
  let bytes = 0
  let receipts = 0
  let messages = 0
  while (bytes < WRITE_BYTES) {
    for (const gap of backlog.shiftGaps()) bytes += addGap(builder, gap)
    const entry = backlog.startsWithRun ? undefined : backlog.shift()
    if (!entry) break
    if (entry.expiresAt !== undefined && entry.expiresAt <= wallTime(clock)) continue
    const frame = entry.content as Encoded
    builder.scope(entry.only?.sub)
    builder.add(frame)
    bytes += frame.bytes
    if (entry.stretch) messages++
    else if (isReceipt(frame)) receipts++
  }
  return { batch: builder.build(), messages, receipts }
}

/** Joins stored messages, for one subscription alone where `sub` is given. */
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
  if (!('data' in frame && frame.data instanceof Uint8Array)) return new Encoded(JSON.stringify(frame))
  return new Encoded(JSON.stringify({ ...frame, data: undefined }), frame.data)
}

function addGap(builder: BatchBuilder, gap: Gap): number {
  const frame = new Encoded(JSON.stringify(gapFrame(gap)))
  builder.add(frame)
  return frame.bytes
}

function isReceipt({ text }: Encoded): boolean {
  return text?.startsWith('{"type":"receipt"') ?? false
}
