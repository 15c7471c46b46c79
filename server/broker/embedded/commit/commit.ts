import type { FanfareError } from '../../../../shared/errors.ts'
import type { BrokerEvents, CommittedMessage, Draft, Settlement } from '../../broker.ts'
import { neediest, type Purpose, purposeOfEnding } from '../../rules/storage-full.ts'
import type { Change } from '../store/store.ts'

/** Maximum drafts, and maximum settlements, per commit. */
export const GROUP = 10_000

/** Reports declarations or deletions. */
export type Declaration = (events: BrokerEvents) => void

/**
 * A change of something other than messages. `stage` adds it to a commit and returns a function that undoes it if the commit fails;
 * what it adds to `declarations` is reported once the commit has succeeded.
 */
export interface Task {
  stage(changes: Change[], now: number, declarations: Declaration[]): () => void
  done(error?: Error): void
}

/** Something that publishes: a draft, or an ack with publishes. */
export type PublishOrAck = Draft | Settlement

export function isSettlement(publishing: PublishOrAck): publishing is Settlement {
  return 'ending' in publishing
}

/** The drafts of an ack, or the draft itself. */
export function draftsOf(publishing: PublishOrAck): readonly Draft[] {
  return isSettlement(publishing) ? publishing.drafts : [publishing]
}

/** A caller waiting for a commit. */
export interface Waiter {
  readonly of: Task | Settlement | Draft
  succeeded(): void
  failed(error: FanfareError): void
}

/** A message that gets its place with a commit. */
export interface StagedMessage extends CommittedMessage {
  /** Nothing of it is stored, so it does not fail with the commit. */
  readonly isFree: boolean
}

/** A commit in preparation. */
export interface Commit {
  readonly now: number
  /** Generation of the declarations: drafts with an older route get a new one. */
  readonly generation: number
  readonly changes: Change[]
  /** Functions that undo the commit if it fails. */
  readonly undo: (() => void)[]
  readonly waiters: Waiter[]
  /**
   * Declarations and deletions of streams or queues. If there are any, publishes of the same group wait for the next commit, where
   * they get new routes.
   */
  readonly declarations: Declaration[]
  readonly messages: StagedMessage[]
  /** How much of the group has been staged: if staging itself fails, the rest has to be refused. */
  readonly taken: { tasks: number; settlements: number; publishing: number; waited: number }
}

/** The content of one commit. */
export interface CommitGroup {
  readonly tasks: readonly Task[]
  /** Settlements that publish nothing. They are staged first, because they make space. */
  readonly settlements: Settlement[]
  /** In the order of arrival, because a publisher's order on a topic includes its acks. */
  readonly publishing: PublishOrAck[]
  /** After this many bytes no more waiting publishes are accepted; undefined for none at all. */
  readonly waitedBytes: number | undefined
}

/** The purpose of a group's space: that of its most important member. */
export function purposeOf({ settlements, publishing }: CommitGroup, { taken }: Commit): Purpose {
  if (taken.waited > 0 || publishing.some((each) => draftsOf(each).some(isKept))) return 'message'
  return neediest(settlements.map(purposeOfSettlement))
}

export function purposeOfSettlement({ ending, drafts }: Settlement): Purpose {
  return purposeOfEnding(ending, drafts.some(isKept))
}

function isKept({ route: { streams, queues } }: Draft): boolean {
  return streams.length > 0 || queues.length > 0
}

/** Fails a publish that was not stored, or whose outcome is unknown. */
export function fail(publishing: PublishOrAck, error: FanfareError): void {
  if (error.code === 'outcome_unknown') publishing.unknown(error)
  else publishing.refused(error)
}

/** Refuses one of a group, in its place among the others, because a publisher is answered in order. */
export function refuse(refused: Draft | Settlement, error: FanfareError, { waiters }: Commit): void {
  const tell = () => refused.refused(error)
  waiters.push({ of: refused, succeeded: tell, failed: tell })
}

/** Returned by a task that changes nothing outside the logs. */
export const nothingToUndo = () => {}
