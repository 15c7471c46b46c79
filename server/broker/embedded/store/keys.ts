import { Buffer } from 'node:buffer'
import { FanfareError } from '../../../../shared/errors.ts'
import type { Key } from './store.ts'

/** The layout of the store: every key begins with the letter of its table. */
export const streamKey = (id: number): Key => ['s', id]
/** A block, under the offset of its first message. */
export const blockKey = (id: number, offset: number): Key => ['b', id, offset]
/** Offset of the newest message of a topic. */
export const newestKey = (id: number, topic: string): Key => ['n', id, topic]
/** The same for a topic and all later ones, in the order of names. */
export const newestFrom = (id: number, topic: string): { from: Key; to: Key } => ({
  from: newestKey(id, topic),
  to: ['n', id + 1],
})
/** Offset of the current value in a last-value stream. */
export const valueKey = (id: number, topic: string, key: string | undefined): Key => ['v', id, topic, key ?? '']
export const cursorKey = (id: number, name: string): Key => ['c', id, name]
/** A cursor and all later ones, in the order of names. */
export const cursorsFrom = (id: number, name: string): { from: Key; to: Key } => ({
  from: cursorKey(id, name),
  to: ['c', id + 1],
})
/** A deleted stream or queue whose data has not been removed completely. */
export const removedKey = (id: number): Key => ['x', id]
/** The tables with the data of streams and queues except their records; keys begin with the letter and the number of the stream or queue. */
export const TABLES = ['b', 'n', 'v', 'c', 'a', 'f', 'd', 'p'] as const
/** The ids of one commit, in the order of commits. */
export const idsKey = (commit: number): Key => ['w', commit]
/** The number of the next stream or queue. */
export const numbersKey = (): Key => ['o']

/** The state of a copy into this directory, see `CopyState`. */
export const copyKey = (): Key => ['y']

export const queueKey = (id: number): Key => ['q', id]
/** The settled messages of a queue's block, as one bit each. */
export const doneKey = (id: number, block: number): Key => ['a', id, block]
/** The stored error of a message that has failed. */
export const failureKey = (id: number, seq: number): Key => ['f', id, seq]
export const letterKey = (id: number, letter: number): Key => ['d', id, letter]
export const parkedKey = (id: number, key: string): Key => ['p', id, key]

/** All keys that begin with these elements, whatever the next element is: a message's key can be any text. */
export const under = (...start: (string | number)[]): { from: Key; to: Key } => ({
  from: [...start, Number.NEGATIVE_INFINITY],
  to: start.length === 0 ? [LAST_TABLE] : [...start.slice(0, -1), following(start.at(-1) as string | number)],
})

/** Sorts after the letters of all tables. */
const LAST_TABLE = '~'

/** The successor of all keys with this element. Ids are integers, and names contain no control characters. */
const following = (element: string | number) => (typeof element === 'number' ? element + 1 : `${element}\u0001`)

/** Ids as earlier versions stored them, without their publisher and destination. */
export const legacyIds = under('i')

export const toJson = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value))

/** Throws `data_damaged` if the bytes are not JSON. */
export function fromJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString())
  } catch {
    throw new FanfareError('data_damaged', 'A record of the database cannot be read. Restore a backup.')
  }
}
