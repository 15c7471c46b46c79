import type { Logger } from 'pino'
import { FanfareError } from '../../../shared/errors.ts'
import { listOf, type TurnAnswer } from './answers.ts'

/** How often the log has a line of one kind, in milliseconds. */
const SILENCE_MS = 10_000

/** What was found damaged in Redis. Each find is counted; the log has a line for the first, and then for those of ten seconds together. */
export class Damage {
  count = 0
  private readonly log: Logger
  private readonly nameOf: (queue: number) => string | undefined
  private readonly unlogged = new Map<string, { count: number; loggedAt: number }>()

  constructor(nameOf: (queue: number) => string | undefined, log: Logger) {
    this.nameOf = nameOf
    this.log = log
  }

  /** What a turn has found. */
  inTurn({ u, f }: TurnAnswer): void {
    for (const [queue, seq] of listOf(u)) {
      const found = {
        queue: this.nameOf(queue) ?? queue,
        seq: seq < 0 ? undefined : seq,
        kept: 'in the hash "unreadable"',
      }
      this.found('a message in Redis could not be read, and was set aside', found)
    }
    for (const fault of listOf(f)) this.found('something in Redis is damaged', { fault })
  }

  /** A block of a stream that cannot be read. */
  inBlock(stream: string, first: number, last: number): FanfareError {
    this.found('a block of a stream in Redis cannot be read', { stream, first, last })
    return damagedBlock(stream, first, last)
  }

  private found(text: string, what: object): void {
    this.count++
    const now = performance.now()
    const before = this.unlogged.get(text)
    if (before && now - before.loggedAt < SILENCE_MS) {
      before.count++
      return
    }
    this.log.error({ ...what, more: before?.count || undefined }, text)
    this.unlogged.set(text, { count: 0, loggedAt: now })
  }
}

/** What readers of a block get that cannot be read. */
export function damagedBlock(stream: string, first: number, last: number): FanfareError {
  return new FanfareError(
    'data_damaged',
    `The messages ${first} to ${last} of stream "${stream}" cannot be read in Redis. Subscribe from offset ${last + 1}, or trim the stream to it.`,
  )
}

/** Why nothing can be stored in a stream or queue whose state cannot be read. */
export function damagedPlace(kind: 'stream' | 'queue', name: string): FanfareError {
  return new FanfareError(
    'data_damaged',
    `The ${kind} "${name}" is damaged in Redis, and stores nothing. Delete it and declare it again.`,
  )
}

/** For reads that do without what is damaged. */
export function ifDamaged(error: unknown): undefined {
  if (!(error instanceof FanfareError) || error.code !== 'data_damaged') throw error
}
