import type { Entry } from '../stored-block.ts'
import type { Failure } from './failures.ts'
import type { QueueItem } from './queue-item.ts'

/** The changes of one commit to a queue. They take effect once the commit has succeeded. */
export interface Stage {
  readonly entries: Entry[]
  entryBytes: number
  /** Change in the number of messages and in their bytes. */
  messages: number
  bytes: number
  readonly done: QueueItem[]
  /** Messages that leave without having been delivered. */
  readonly leaving: QueueItem[]
  readonly retried: (readonly [QueueItem, Failure])[]
  /** Messages that may be removed to make space, oldest first. */
  oldest: Iterator<QueueItem> | undefined
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
