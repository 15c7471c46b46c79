import type { MessageHeaders } from '../../shared/frames.ts'

/**
 * The contract between a hub and the other nodes: hubs that serve clients together. A bus carries live messages between nodes, knows which
 * nodes are there, and lets one ask another. It keeps nothing: what is kept is the broker's (`server/broker/broker.ts`). A bus that
 * has no other nodes does nothing, and everything here is synchronous for it.
 *
 * **What it carries.** Messages on topics that nothing keeps. A message on a topic that anything may keep reaches every node through the
 * broker, by its event `messages`, and never comes over the bus. What a hub says of itself (`$sys`) is not carried either: each
 * node says it to its own subscribers, after it has asked the others.
 *
 * **Order.** Messages of one node arrive at each other node in the order of the calls to `publish`, whatever their topics. The subscribers of the
 * publisher's own node have a message at once. So each publisher's order holds for every subscriber; two subscribers on
 * different nodes may see messages of different publishers in a different order. The questions of one node to another arrive in the
 * order of the calls to `ask`, and their answers in the order in which they are given. No order holds between messages and
 * questions, or between bus and broker: when a topic begins or ceases to be kept, messages before and after the change may
 * cross on their way to another node.
 *
 * **Loss.** A bus may lose messages, and then it says so: `missed` comes before the first message after the loss, for the patterns that it may concern and
 * for no others. It never delivers a message twice. A publish is not answered: what nothing keeps is at most once.
 *
 * **What waits.** An interest stands when messages that any node publishes from then on reach this node. `subscribe` returns a promise only
 * if that takes time; the hub confirms a subscription to its client when the interest stands. Nothing else waits:
 * `publish` returns at once, and the bus groups what comes in one turn.
 *
 * **Cut off.** A node that has lost its way to the others goes on with its own clients. The others have `left` for it, an interest stands at
 * once, and what it publishes reaches its own subscribers only. When the way is back it reports `missed`, then the others as `joined`. Each
 * of the others sees the same from its side.
 *
 * **Ownership.** A message is never changed, by the bus or by those who get it. The bus counts interests: it keeps one in a pattern
 * until `unsubscribe` has been called as often as `subscribe`. What one node has announced to another ends when it leaves: on
 * `left`, forget what you remember of a node; on `joined`, announce your own state again.
 */
export interface Bus {
  /** This node. */
  readonly node: NodeName
  /** It has lost its way to the other nodes, and has none but its own clients. */
  readonly isCutOff: boolean
  /** How often it has found its way back to the others after it had lost it. */
  readonly reconnections: number
  readonly figures: BusFigures
  /** Joins the others, and starts to report events. Reports every node that is there before it resolves. */
  open(events: BusEvents): Promise<void>
  /** Sends a message to the other nodes that have an interest in its topic. */
  publish(message: LiveMessage): void
  /**
   * Takes an interest in the topics that a pattern matches, given by the words of its canonical form; call it for each subscription.
   * Returns undefined if the interest stands at once; otherwise a promise that resolves when it does, and never rejects.
   */
  subscribe(pattern: readonly string[]): Promise<void> | undefined
  unsubscribe(pattern: readonly string[]): void
  /**
   * Asks another node. Question and answer are JSON values; a `RawJson` or a `Uint8Array` may be in the place of any member. Resolves to the
   * answer, and to undefined if the node leaves, fails to answer, or takes longer than `timeoutMs`. Never rejects.
   */
  ask(node: string, question: string, params: unknown, timeoutMs: number): Promise<unknown>
  /**
   * Leaves. What was published before is sent; questions that are under way are answered with undefined. Calls after this do nothing. A
   * bus that was not opened can be closed, too.
   */
  close(): Promise<void>
}

/** What a bus has carried since it was opened, and how fast it is. */
export interface BusFigures {
  /** Messages sent, counted once for each node that they were sent to, and messages received. */
  readonly sentMessages: number
  readonly receivedMessages: number
  /** Bytes of everything that nodes say to each other. */
  readonly sentBytes: number
  readonly receivedBytes: number
  /** How long the bus took last to carry something from this node back to it, in milliseconds; more if it takes longer just now. */
  readonly lagMs: number
}

/** What a bus reports. It calls one at a time, and none of them throws. */
export interface BusEvents {
  /** Messages of other nodes that this node has an interest in, in their order. One may come although its interest has just ended. */
  messages(batch: readonly LiveMessage[]): void
  /** Messages of other nodes may be missing here, on topics of some patterns: `concerns` says whether a pattern is one of them. */
  missed(concerns: (pattern: readonly string[]) => boolean): void
  /** A node is there. It comes before anything else of the node. */
  joined(node: NodeName): void
  /** A node has left, is cut off, or has given no sign of life. Nothing comes from it until it has joined again. */
  left(node: string): void
  /** Another node asks. If it rejects, the one that asks gets undefined. */
  asked(question: string, params: unknown, from: string): Promise<unknown>
}

/** A node, as others know it. */
export interface NodeName {
  /** Of one life of a node: a hub that starts again has another. */
  readonly id: string
  /** For people. Several nodes may have the same. */
  readonly name: string
}

/** A message on its way between nodes. */
export interface LiveMessage {
  readonly id: string
  readonly topic: string
  readonly key: string | undefined
  readonly headers: MessageHeaders | undefined
  readonly expiresAt: number | undefined
  /** As `compose` makes it, text or a record: it has the fields above as well. `bytes` is its size. */
  readonly wire: { readonly text: string | undefined; readonly record: Uint8Array | undefined; readonly bytes: number }
}
