import type { OpResult } from './answers.ts'
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

export function weightOf({ op: { messages = 1 } }: Task): number {
  return messages
}

export function settledBy(tasks: readonly Task[]): number {
  return tasks.reduce((sum, { settles }) => sum + settles, 0)
}

export function taskFor(op: Op): Task {
  return { op, declares: false, frees: true, settles: 0, done() {}, failed() {} }
}
