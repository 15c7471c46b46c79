import type { StoredBlock } from '../stored-block.ts'

/** A message of a queue, as long as the queue holds it. */
export interface QueueItem {
  readonly seq: number
  readonly key: string | undefined
  readonly priority: number
  readonly bytes: number
  readonly publishedAt: number
  readonly expiresAt: number | undefined
  /** Sequence number of the first message of its block. */
  readonly block: number
  /** Not delivered before this time, in milliseconds since 1970. */
  dueAt: number
  attempts: number
  /** Whether an error is stored for it: an attempt failed, or may have failed. */
  failed: boolean
  /** `leaving`: a commit in progress removes it. */
  state: 'waiting' | 'in flight' | 'leaving' | 'gone'
  /** Which line it is in: at most one, otherwise it would be delivered out of turn. */
  line: 'none' | 'ready' | 'delayed'
  /** Whether it is among the messages that will expire. */
  expiring: boolean
}

/** One object literal for all, so that a million of them have the same shape. */
export function newItem(
  seq: number,
  key: string | undefined,
  priority: number,
  bytes: number,
  publishedAt: number,
  expiresAt: number | undefined,
  block: number,
  dueAt: number,
): QueueItem {
  return {
    seq,
    key,
    priority,
    bytes,
    publishedAt,
    expiresAt,
    block,
    dueAt,
    attempts: 0,
    failed: false,
    state: 'waiting',
    line: 'none',
    expiring: false,
  }
}

/** The message at this place of a block. */
export function storedItem(block: StoredBlock, at: number): QueueItem {
  const [bytes, first] = [block.wireBytes(at, at + 1), block.firstOffset]
  const [key, priority, expiresAt, dueAt] = [block.key(at), block.priority(at), block.expiresAt(at), block.dueAt(at)]
  return newItem(block.offset(at), key, priority, bytes, block.time(at), expiresAt, first, dueAt)
}
