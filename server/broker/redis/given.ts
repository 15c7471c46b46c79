import type { Buffer } from 'node:buffer'
import type { Packed } from './ack-batch.ts'
import { listOf, type OpResult } from './answers.ts'
import { type BatchMessage, messagesOfBatch } from './queue-batch.ts'
import { readBody } from './queue-record.ts'

/** What a lease has brought. `attempts`: that failed before. `wire`: undefined if it cannot be read. */
export interface Given {
  readonly seq: number
  readonly attempts: number
  readonly lastError: string | undefined
  readonly packed: Packed | undefined
  readonly wire: Wire | undefined
}

export type Wire = string | Uint8Array

/** The messages of the answer to a lease, in order. */
export function givenIn({ g, f, bodies = [] }: OpResult): Given[] {
  const failures = new Map(listOf(f).map(([at, attempts, error]) => [at, { attempts, error }]))
  return listOf(g).flatMap((given, at): Given | Given[] => {
    const stored = bodies[at]
    if (typeof given !== 'string') return batchIn(given, stored)
    const { attempts = 0, error = false } = failures.get(at) ?? {}
    const lastError = error === false ? undefined : error
    return { seq: Number(given), attempts, lastError, packed: undefined, wire: readBody(stored)?.wire }
  })
}

function batchIn([first, count]: readonly [number, number], stored: Buffer | null | undefined): Given[] {
  const batch = { first, count }
  const messages = stored ? readBatch(stored) : []
  return Array.from({ length: count }, (_, n): Given => {
    const message = messages[n]
    const packed = message && { batch, bytes: message.bytes }
    return { seq: first + n, attempts: 0, lastError: undefined, packed, wire: message?.wire }
  })
}

/** Nothing if it is damaged. */
function readBatch(stored: Buffer): BatchMessage[] {
  try {
    return messagesOfBatch(stored)
  } catch {
    return []
  }
}
