import type { Retry } from '../../rules/fate.ts'
import { failureKey, fromJson, toJson } from '../store/keys.ts'
import type { Change, StoreReader } from '../store/store.ts'
import type { QueueItem } from './queue-item.ts'

/** The stored error of a message whose last attempt failed. */
export interface Failure {
  readonly attempts: number
  readonly error: string | undefined
  readonly dueAt: number
  /** Earlier versions did not write it. */
  readonly failedAt?: number | undefined
}

/**
 * The failures of a queue's messages. They are read from the store when needed: in memory, the errors of all messages that wait for
 * a retry would have no limit.
 */
export class Failures {
  private readonly store: StoreReader
  private readonly id: number

  constructor(store: StoreReader, id: number) {
    this.store = store
    this.id = id
  }

  of({ seq }: QueueItem): Failure | undefined {
    const stored = this.store.get(failureKey(this.id, seq))
    return stored && (fromJson(stored) as Failure)
  }

  lastErrorOf(item: QueueItem): string | undefined {
    return item.failed ? this.of(item)?.error : undefined
  }

  /** Adds new failures and the removal of settled ones to a commit. */
  finish(retried: readonly (readonly [QueueItem, Failure])[], done: readonly QueueItem[], changes: Change[]): void {
    for (const { seq, failed } of done) {
      if (failed) changes.push({ key: failureKey(this.id, seq), value: undefined })
    }
    for (const [{ seq }, failure] of retried) {
      changes.push({ key: failureKey(this.id, seq), value: toJson(failure) })
    }
  }
}

export function failureOf({ attempts, error, delayMs }: Retry, now: number): Failure & { readonly failedAt: number } {
  return { attempts, error, dueAt: now + delayMs, failedAt: now }
}
