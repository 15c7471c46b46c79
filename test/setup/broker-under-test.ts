import type { Broker } from '../../server/broker/broker.ts'
import { type Clock, realClock } from '../../shared/clock.ts'

/** What a suite chooses of a broker. */
export interface BrokerSettings {
  readonly dedupWindowMs: number
  readonly dedupIds: number
  readonly waitingPublishBytes?: number
  readonly cursorsPerStream?: number
  readonly cursorIdleMs?: number
  /** It looks at the time only in `passTime`, so that a busy machine makes no difference. */
  readonly onlyPassTime?: boolean
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
  /** Lets it look at the time now; by itself it does so within a tenth of a second, unless `onlyPassTime`. */
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
  /** What the blocks of all streams take where they are stored. */
  streamBytes(): Promise<number>
  /** Closes it, and opens another one on the same data. */
  reopen(): Promise<void>
  /** Closes it, and removes its data. */
  close(): Promise<void>
}

/** The time of a test, with real timers; or with none for looks at the time. */
export function clockOf({ onlyPassTime = false }: BrokerSettings, time: { readonly now: number }): Clock {
  const idle = () => {}
  return {
    ...realClock,
    now: () => time.now,
    setInterval: (task, ms) => realClock.setInterval(onlyPassTime ? idle : task, ms),
  }
}

export interface HeldCommit {
  readonly begun: Promise<void>
  release(): void
}
