import type { StoredBlock } from '../stored-block.ts'

/** A message of a queue, as long as it is in it. */
export interface Item {
  readonly seq: number
  readonly key: string | undefined
  readonly priority: number
  readonly bytes: number
  readonly publishedAt: number
  readonly expiresAt: number | undefined
  /** Sequence number of the first message of its block. */
  readonly block: number
  /** Not to be delivered before, in milliseconds since 1970. */
  dueAt: number
  attempts: number
  /** Something went wrong with it before, and is stored: an attempt failed, or may have. */
  failed: boolean
  /** `leaving`: a commit is under way that takes it out. */
  state: 'waiting' | 'in flight' | 'leaving' | 'gone'
  /** Where it stands in line: in one place at most, or it would be delivered out of its turn. */
  line: 'none' | 'ready' | 'delayed'
  /** It stands among those that will expire. */
  expiring: boolean
}

/** One literal for all, so that a million of them have one shape. */
export function newItem(
  seq: number,
  key: string | undefined,
  priority: number,
  bytes: number,
  publishedAt: number,
  expiresAt: number | undefined,
  block: number,
  dueAt: number,
): Item {
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
export function storedItem(block: StoredBlock, at: number): Item {
  const [bytes, first] = [block.wireBytes(at, at + 1), block.firstOffset]
  const [key, priority, expiresAt, dueAt] = [block.key(at), block.priority(at), block.expiresAt(at), block.dueAt(at)]
  return newItem(block.offset(at), key, priority, bytes, block.time(at), expiresAt, first, dueAt)
}
