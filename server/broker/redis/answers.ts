import type { Buffer } from 'node:buffer'

// What the scripts answer, and what they tell other nodes. A list that is empty may come as an object.

/** The number of a stream, then what `NUMBERS` of `lua/prelude.ts` names. */
export type StreamNumbers = readonly number[]

/** A declaration: what, its name and number, its options as JSON, the base of its epoch. Or a deletion, with a name and number. */
export type Declared = readonly ['stream', string, number, string, string] | readonly ['-stream', string, number]

/** How many messages, and the offset of the first of them in each stream that captured them. */
export type Stretch = readonly [number, Readonly<Record<string, number>>]

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
}

/** What an op has come to; `x` is the code of a refusal. */
export interface OpResult {
  readonly x?: string
  /** The options that there are. */
  readonly o?: string
  /** Of drafts that are known: which, and their places, by the numbers of streams. */
  readonly k?: readonly (readonly [number, readonly (readonly [number, number])[]])[]
}

export interface TurnAnswer {
  readonly e?: CommitEvent
  readonly r: readonly OpResult[]
  /** The latest commit. */
  readonly c: number
}

export interface SpaceState {
  readonly space: string
  readonly c: number
  readonly g: number
  /** The incarnation: how often this Redis has lost something that was answered. */
  readonly n: number
  /** Name, number, options as JSON, epoch base, numbers. */
  readonly s: readonly (readonly [string, number, string, string, StreamNumbers])[]
}

/** A list that Lua may have taken for an object. */
export function listOf<Value>(list: readonly Value[] | object | undefined): readonly Value[] {
  return Array.isArray(list) ? list : []
}

/** An event with the records of its messages. */
export function splitEvent(bytes: Buffer): { readonly event: CommitEvent; readonly records: Buffer } {
  const end = 4 + bytes.readUInt32BE(0)
  return { event: JSON.parse(bytes.toString('utf8', 4, end)) as CommitEvent, records: bytes.subarray(end) }
}
