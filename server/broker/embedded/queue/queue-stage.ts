import type { Entry } from '../stored-block.ts'
import type { Failure } from './failures.ts'
import type { Item } from './queue-item.ts'

/** What one commit changes in a queue. It takes effect once the commit has succeeded. */
export interface Stage {
  readonly entries: Entry[]
  entryBytes: number
  /** Change in the count of messages and in their bytes. */
  messages: number
  bytes: number
  readonly done: Item[]
  /** Messages that leave without having been delivered. */
  readonly leaving: Item[]
  readonly retried: (readonly [Item, Failure])[]
  /** Messages that may be removed to make room, oldest first. */
  oldest: Iterator<Item> | undefined
  readonly parked: string[]
  readonly applied: ((now: number) => void)[]
}

export function newStage(): Stage {
  return {
    entries: [],
    entryBytes: 0,
    messages: 0,
    bytes: 0,
    done: [],
    leaving: [],
    retried: [],
    oldest: undefined,
    parked: [],
    applied: [],
  }
}
