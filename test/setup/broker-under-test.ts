import type { Broker } from '../../server/broker/broker.ts'

/** What a suite chooses of a broker. */
export interface BrokerSettings {
  readonly dedupWindowMs: number
  readonly dedupIds: number
  readonly waitingPublishBytes?: number
  readonly cursorsPerStream?: number
  readonly cursorIdleMs?: number
}

export interface BrokerMaker {
  /** Whether a commit costs next to nothing. */
  readonly isFast: boolean
  /** Opens a broker that has nothing yet. */
  open(settings: BrokerSettings): Promise<BrokerUnderTest>
}

/** A broker, and what a test may do to its environment. */
export interface BrokerUnderTest {
  /** Another one after `reopen`. */
  readonly broker: Broker
  /** What it takes for the time, in milliseconds since 1970. */
  readonly clock: { now: number }
  /** Lets it look at the time now, and not only within a tenth of a second. */
  passTime(): void
  /** Resolves when nothing is under way. */
  idle(): Promise<void>
  /** The next queue that is reported to have something to lease. */
  nextReady(): Promise<string>
  /** Whether one that cannot store refuses everything for that, and not first for what is wrong with it. */
  readonly failsFirst: boolean
  /** From now on nothing can be stored, for this reason; or again can. */
  failWith(error: Error | undefined): void
  /** The next commit is stored and can be read, and is not done until it is released. */
  holdCommit(): HeldCommit
  /** How many records are stored. */
  records(): Promise<number>
  /** Closes it, and opens another one on the same data. */
  reopen(): Promise<void>
  /** Closes it, and removes its data. */
  close(): Promise<void>
}

export interface HeldCommit {
  readonly begun: Promise<void>
  release(): void
}
