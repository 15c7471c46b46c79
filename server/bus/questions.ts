import type { ErrorCode } from '../../shared/errors.ts'
import type { AskFrame, ReplyFrame } from '../../shared/frames.ts'
import type { QueueRates } from '../../shared/queues.ts'
import type {
  AttentionEntry,
  ConnectionInfo,
  ConnectionSort,
  ConnectionsPage,
  ConnectionsStatus,
  EndedConnection,
  History,
  HistoryRange,
  HubInfo,
  TopicInfo,
  TopicSort,
  TopicsStatus,
} from '../../shared/sys.ts'

/** Which part of a list is wanted, checked and complete. */
export interface Wanted<Sort extends string> {
  readonly filter: string
  readonly sort: Sort
  readonly reverse: boolean
  readonly from: number
  readonly limit: number
}

/** An item of a list and its place: by weight, the highest first, then by name from A on. */
export interface Ranked<Item> {
  readonly item: Item
  readonly weight: number
  readonly name: string
}

/** A part of a list in its order. */
export interface Found<Item> {
  readonly count: number
  readonly matching: number
  readonly found: readonly Ranked<Item>[]
}

/** Something that needs attention; the highest severity comes first, then the highest weight. */
export interface AttentionRow {
  readonly severity: number
  readonly weight: number
  readonly entry: AttentionEntry
}

/** What needs attention at a node: of all, how many, and the worst. */
export interface AttentionRows {
  readonly problems: number
  readonly warnings: number
  readonly worst: readonly AttentionRow[]
}

/** Patterns that a node has begun and ceased to respond to; a pattern comes once for each responder. */
export interface OfferChanges {
  readonly added: readonly string[]
  readonly removed: readonly string[]
}

/** What has become of a request at the node of its responder. */
export type RequestOutcome =
  | Pick<ReplyFrame, 'data' | 'error'>
  | { readonly refused: { readonly code: ErrorCode; readonly message: string; readonly retry: boolean } }

/** What an identity has sent at a node in the last second. */
export interface SpentByIdentity {
  readonly subject: string
  readonly messages: number
  readonly bytes: number
}

/** What a node has of a queue: consumers, those with something in flight, deliveries that timed out, publishes that wait for room. */
export interface QueueShare {
  readonly consumers: number
  readonly busy: number
  readonly timedOut: number
  readonly waiting: number
  readonly waitingBytes: number
}

/** With the rates of the queue if the node is the oldest. */
export type QueueShareRow = readonly [queue: string, share: QueueShare, rates?: QueueRates]

/** What has changed of a node's queues. */
export interface ToldShares {
  /** When the node started. */
  readonly since: number
  /** All that it has: what it told before is over. */
  readonly isWhole: boolean
  readonly rows: readonly QueueShareRow[]
}

/** A page of the connections of one node. */
export type OwnConnections = Pick<ConnectionsPage, 'count' | 'connections'>

type Limit = { readonly limit: number }
type OneConnection = { readonly connection: string }

/** Everything that nodes ask one another. Each answers for itself; the node that asked puts the answers together. */
export interface Questions {
  'hub.show': { params: object; answer: HubInfo }
  'hub.history': { params: { readonly range: HistoryRange }; answer: History }
  /** Without queues, which belong to all nodes. */
  'hub.attention': { params: Limit; answer: AttentionRows }
  'topics.busiest': { params: Limit; answer: TopicsStatus }
  'topics.find': { params: Wanted<TopicSort>; answer: Found<TopicInfo> }
  'connections.find': { params: Wanted<ConnectionSort>; answer: Found<ConnectionInfo> }
  'connections.list': { params: Limit & { readonly from: number }; answer: OwnConnections }
  'connections.slowest': { params: Limit; answer: ConnectionsStatus }
  'connections.recent': { params: object; answer: readonly EndedConnection[] }
  'connections.show': { params: OneConnection; answer: ConnectionInfo | EndedConnection | null }
  /** Whether it was there. */
  'connections.disconnect': { params: OneConnection; answer: boolean }
  /** Whether the node knows all declarations up to a generation. It answers as soon as it does. */
  'declarations.known': { params: { readonly generation: number }; answer: boolean }
  /** Whether it was taken: the node that is asked knows the one that asks. */
  'queues.shares': { params: ToldShares; answer: boolean }
  'limits.spent': { params: readonly SpentByIdentity[]; answer: true }
  'requests.offers': { params: OfferChanges; answer: true }
  /** To be answered by a responder of the node that is asked. */
  'requests.ask': { params: Omit<AskFrame, 'type' | 'seq'>; answer: RequestOutcome }
}

export type QuestionName = keyof Questions
export type Params<Name extends QuestionName> = Questions[Name]['params']
export type Answer<Name extends QuestionName> = Questions[Name]['answer']
