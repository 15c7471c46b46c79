import type { Restore } from './checker.ts'

/** What clients of a round connect to: one hub, or a cluster. */
export interface Hubs {
  /** Where to connect, for the network between. */
  readonly port: number
  readonly restores: readonly Restore[]
  /** How hubs ended that no fault had ended. */
  readonly crashes: readonly string[]
  /** Resolves once all hubs know of the same messages, or after a time in which they must. */
  agree(): Promise<void>
  /** What is not as it should be once all faults are over, and the queues are empty. */
  leftovers(connections: number): Promise<string[]>
  close(): Promise<void>
}
