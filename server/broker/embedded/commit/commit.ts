import type { FanfareError } from '../../../../shared/errors.ts'
import type { BrokerEvents, CommittedMessage, Draft, Settlement } from '../../broker.ts'
import { neediest, type Purpose, purposeOfEnding } from '../../rules/storage-full.ts'
import type { Change } from '../store/store.ts'

/** Maximum drafts, and maximum settlements, of one commit. */
export const GROUP = 10_000

/** Reports what has been declared or deleted. */
export type Declaration = (events: BrokerEvents) => void

/**
 * A change of something other than messages. `stage` adds it to a commit and returns how to undo it if that fails; what it adds
 * to `declarations` is reported once the commit has succeeded.
 */
export interface Task {
  stage(changes: Change[], now: number, declarations: Declaration[]): () => void
  done(error?: Error): void
}

/** What publishes: a draft, or an ack with publishes. */
export type PublishOrAck = Draft | Settlement

export function isSettlement(publishing: PublishOrAck): publishing is Settlement {
  return 'ending' in publishing
}

/** The drafts of an ack, or the draft itself. */
export function draftsOf(publishing: PublishOrAck): readonly Draft[] {
  return isSettlement(publishing) ? publishing.drafts : [publishing]
}

/** A caller that waits for a commit. */
export interface Waiter {
  readonly of: Task | Settlement | Draft
  succeeded(): void
  failed(error: FanfareError): void
}

/** A message that a commit puts in its place. */
export interface StagedMessage extends CommittedMessage {
  /** Nothing of it is stored, so that it does not fail with the commit. */
  readonly isFree: boolean
}

/** A commit in the making. */
export interface Commit {
  readonly now: number
  /** Of the declarations: drafts with an older route get a new one. */
  readonly generation: number
  readonly changes: Change[]
  /** What to undo where it fails. */
  readonly undo: (() => void)[]
  readonly waiters: Waiter[]
  /** It declares or deletes streams or queues. Publishes of the same group wait for the next commit, where they get new routes. */
  readonly declarations: Declaration[]
  readonly messages: StagedMessage[]
  /** How many of the group have been staged: if staging itself fails, the others have to be refused. */
  readonly taken: { tasks: number; settlements: number; publishing: number; waited: number }
}

/** What goes into one commit. */
export interface CommitGroup {
  readonly tasks: readonly Task[]
  /** Those that publish nothing. They are staged first, because they make room. */
  readonly settlements: Settlement[]
  /** In the order of their arrival: a publisher's order on a topic holds for its acks, too. */
  readonly publishing: PublishOrAck[]
  /** Bytes after which no more publishes that waited are taken in; undefined for none of them. */
  readonly waitedBytes: number | undefined
}

/** What a group needs room for: what the neediest of it does. */
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

/** Ends what was not stored, or may have been. */
export function fail(publishing: PublishOrAck, error: FanfareError): void {
  if (error.code === 'outcome_unknown') publishing.unknown(error)
  else publishing.refused(error)
}

/** Refuses one of a group, in its place among the others: a publisher hears in order. */
export function refuse(refused: Draft | Settlement, error: FanfareError, { waiters }: Commit): void {
  const tell = () => refused.refused(error)
  waiters.push({ of: refused, succeeded: tell, failed: tell })
}

/** What a task returns if it changes nothing outside the logs. */
export const nothingToUndo = () => {}
