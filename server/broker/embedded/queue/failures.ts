import type { Retry } from '../../rules/fate.ts'
import { failureKey, fromJson, toJson } from '../store/keys.ts'
import type { Change, Reader } from '../store/store.ts'
import type { Item } from './queue-item.ts'

/** What is stored of a message whose last attempt failed. */
export interface Failure {
  readonly attempts: number
  readonly error: string | undefined
  readonly dueAt: number
  /** Hubs before did not write it. */
  readonly failedAt?: number | undefined
}

/**
 * What failed of the messages of a queue. It is read from the store when it is wanted: in memory, the errors of very many
 * messages that wait for another attempt would have no bound.
 */
export class Failures {
  private readonly store: Reader
  private readonly id: number

  constructor(store: Reader, id: number) {
    this.store = store
    this.id = id
  }

  of({ seq }: Item): Failure | undefined {
    const stored = this.store.get(failureKey(this.id, seq))
    return stored && (fromJson(stored) as Failure)
  }

  lastErrorOf(item: Item): string | undefined {
    return item.failed ? this.of(item)?.error : undefined
  }

  /** Adds to a commit what failed and what is done. */
  finish(retried: readonly (readonly [Item, Failure])[], done: readonly Item[], changes: Change[]): void {
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
