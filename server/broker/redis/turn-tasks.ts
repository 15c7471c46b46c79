import type { Draft } from '../broker.ts'
import type { OpResult } from './answers.ts'
import { BYTE_MICROS, MAKING_ROOM_MICROS, QUEUED_MICROS, STREAM_MICROS, TASK_MICROS } from './costs.ts'
import type { QueueMirror } from './queue-mirror.ts'
import { isPlain } from './queue-record.ts'
import type { Op } from './writer.ts'

/** Something other than messages. */
export interface Task {
  readonly op: Op
  /** It declares or deletes something, so that drafts get new routes after it. */
  readonly declares: boolean
  /** It frees something, and runs although there is no room. */
  readonly frees: boolean
  /** How many leases it ends. */
  readonly settles: number
  done(result: OpResult): void
  failed(error: Error): void
}

export function microsOf({ op: { micros = TASK_MICROS } }: Task): number {
  return micros
}

/** `bytes`: its size. */
export function draftMicros(
  draft: Draft,
  bytes: number,
  { queues }: { readonly queues: ReadonlyMap<string, QueueMirror> },
): number {
  const { route } = draft
  let micros = route.streams.length * STREAM_MICROS + bytes * BYTE_MICROS
  for (const name of route.queues) {
    const queue = queues.get(name)
    const overflow = queue && !queue.hasRoom ? queue.options.overflow : undefined
    if (overflow === 'drop-oldest' || overflow === 'dead-letter')
      micros += QUEUED_MICROS.inParts + MAKING_ROOM_MICROS[overflow]
    else micros += isPlain(draft) ? QUEUED_MICROS.packed : QUEUED_MICROS.inParts
  }
  return micros
}

export function settledBy(tasks: readonly Task[]): number {
  return tasks.reduce((sum, { settles }) => sum + settles, 0)
}
