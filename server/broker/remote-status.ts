/**
 * Why a broker outside of the hub's process can lose what it has acknowledged: it writes nothing to its disk; it acknowledges before
 * it has written; what it writes is unknown; or its replacement may not have everything.
 */
export const LOSS_CAUSES = ['no_disk', 'late_sync', 'unknown', 'failover'] as const
export type LossCause = (typeof LOSS_CAUSES)[number]

/** How a broker outside of the hub's process is connected, and what it keeps. Counts begin with the hub. */
export interface RemoteStatus {
  /** Why the hub cannot use it now; undefined while it can. */
  readonly cutOff: string | undefined
  /** Open connections to it. */
  readonly connections: number
  /** Times that the hub has connected again. */
  readonly reconnections: number
  /** Whether streams and queues require that it keeps what it acknowledges. */
  readonly durability: 'strict' | 'relaxed'
  readonly mayLose: ReadonlySet<LossCause>
  /** Times that it had lost some of what it had acknowledged to this hub, and all. */
  readonly losses: { readonly some: number; readonly all: number }
  /** Turns of this hub that it had acknowledged, and lost. */
  readonly lostTurns: number
  /** Times that all streams got new epochs, because something may have been lost. */
  readonly newEpochs: number
  /** Publishes and settlements whose outcome is unknown. */
  readonly unknownOutcomes: number
  /** Times that something was found damaged. */
  readonly damaged: number
  readonly barrier: BarrierFigures
  readonly memory: { readonly bytes: number; readonly limitBytes: number }
}

/** How long commits have waited until replicas had them. */
export interface BarrierFigures {
  /** Waits that have ended, and their seconds together. */
  readonly waits: number
  readonly seconds: number
  /** Times that too few replicas answered in time. */
  readonly shortfalls: number
  /** How long the oldest commit that is not safe has waited, in seconds; 0 if there is none. */
  readonly waitingSeconds: number
}
