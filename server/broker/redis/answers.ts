import type { Figures } from './queue-mirror.ts'

// What the scripts answer, and what they tell other nodes. A list that is empty may come as an object.

/** The number of a stream, then what `NUMBERS` of `lua/prelude.ts` names. */
export type StreamNumbers = readonly number[]

/** A declaration: what, its name and number, its options as JSON, the base of its epoch. Or a deletion, with a name and number. */
export type Declared =
  | readonly ['stream', string, number, string, string]
  | readonly ['-stream', string, number]
  | readonly ['queue', string, number, string, string]
  | readonly ['-queue', string, number]

/** How many messages, the offset of the first of them in each stream that captured them, and whether (1) queues have them. */
export type Stretch = readonly [number, Readonly<Record<string, number>>, number]

/** What a commit has changed. */
export interface CommitEvent {
  /** Of the commit. */
  readonly c: number
  /** The generation of the declarations after it. */
  readonly g: number
  /** When its messages were published. */
  readonly t: number
  readonly s: readonly StreamNumbers[]
  readonly d: readonly Declared[]
  readonly m: readonly Stretch[]
  /** How many parts follow it, which are the records of its messages. */
  readonly b: number
}

/** Of a message on lease: its place, the attempts that failed, and the error of the last one or false. */
export type Failed = readonly [number, number, string | false]

/** What an op has come to; `x` is the code of a refusal. */
export interface OpResult {
  readonly x?: string
  /** The options that there are. */
  readonly o?: string
  /** Of drafts that are known: which, and their places, by the numbers of streams. */
  readonly k?: readonly (readonly [number, readonly (readonly [number, number])[]])[]
  /** Acks whose leases are not held any more: the places among those of the op. */
  readonly l?: readonly number[]
  /** What was leased: the seq of a message, or of a batch the first one and how many; those of them that have failed; and the place of the first among all that follow the answer. */
  readonly g?: readonly (string | readonly [number, number])[]
  readonly f?: readonly Failed[]
  readonly first?: number
  /** What they take in the queue. */
  readonly bytes?: number
  /** These messages and batches; null for one that is gone. */
  readonly bodies?: readonly (Buffer | null)[]
  /** What goes to something that is damaged: the place of the first draft, how many, the number of the stream or queue. */
  readonly d?: readonly (readonly [number, number, number])[]
  /** What has no room: the place of a draft, or of an ack; what becomes of it; the number of the queue. */
  readonly w?: readonly (readonly [number, number, 'none' | 'wait', number])[]
}

export interface TurnAnswer {
  /** Messages that were leased; none if the turn was sent again. */
  readonly leased: readonly (Buffer | null)[]
  readonly e?: CommitEvent
  readonly r: readonly OpResult[]
  /** The figures of all queues that the turn has touched. */
  readonly q?: readonly Figures[]
  /** Messages that could not be read and were set aside: the number of the queue, and the seq. */
  readonly u?: readonly (readonly [number, number])[]
  /** What has failed because something is damaged. */
  readonly f?: readonly string[]
  /** The latest commit. */
  readonly c: number
}

/** Figures; when the oldest that waits was published, since when the oldest is ready, or false; keys of parked groups. */
export type QueueLook = readonly [Figures, number | false, number | false, readonly string[] | object]

/** A node is called: it stood in line for work, or for room. */
export interface Call {
  readonly w: 'ready' | 'room'
  /** The number of the queue. */
  readonly q: number
}

export interface SpaceState {
  readonly space: string
  readonly c: number
  readonly g: number
  /** The incarnation: how often this Redis has lost something that was answered. */
  readonly n: number
  /** Name, number, options as JSON, epoch base, numbers. */
  readonly s: readonly (readonly [string, number, string, string, StreamNumbers])[]
  /** Name, number, options as JSON. */
  readonly q: readonly (readonly [string, number, string])[]
}

/** A list that Lua may have taken for an object. */
export function listOf<Value>(list: readonly Value[] | object | undefined): readonly Value[] {
  return Array.isArray(list) ? list : []
}

/** The values of an op that answers with a list of them instead of fields. */
export function valuesOf<Values extends readonly unknown[]>(result: OpResult): Values {
  return result as unknown as Values
}

/** What an op has leased, with the messages that belong to it. */
export function withBodies(result: OpResult, leased: readonly (Buffer | null)[]): OpResult {
  const { first, g } = result
  if (first === undefined || leased.length === 0) return result
  return { ...result, bodies: leased.slice(first, first + listOf(g).length) }
}
