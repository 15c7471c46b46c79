import { Buffer } from 'node:buffer'
import type { TopicsSince } from './topic-record.ts'

/**
 * What nodes say to one another besides batches of messages, as JSON. How they get to know each other:
 *
 * 1. A node whose link is up says `hello` to all, with its interests and the last batch that it has from each node it knows.
 * 2. Each of them answers `synced`, with the same of its own, and with what the first one has missed of it. For the first one it has joined.
 * 3. The first one answers `settled`, with what the other has missed of it. For the other one it has joined.
 *
 * From there on either sends the messages that the other has an interest in. Any hole in the numbers of batches starts this again.
 */
export type Packet = Hello | Synced | Settled | Changed | Applied | Beat | Asked | Answered | Bye

/** Who says it. A node counts its links: what an earlier one still sends is ignored. */
interface Sender {
  readonly from: string
  readonly link: number
}

/** All that a node has an interest in, as it stood with a version. */
interface Introduction extends Sender {
  readonly name: string
  /** Which formats it speaks, from the oldest to the newest. */
  readonly formats: readonly [number, number]
  readonly interests: readonly string[]
  readonly version: number
}

/** What the receiver has missed of the sender. */
interface Account extends Sender {
  /** The last batch that was made for the receiver: the next one that it gets is the one after it. */
  readonly sent: number
  /** Topics of batches that the receiver does not have. */
  readonly lost: TopicsSince
  /** Accounts are numbered: the receiver says which one it has. */
  readonly account: number
  /** The version of the receiver's interests that `lost` was found with. */
  readonly applied: number
  /** Topics that had messages since the two last heard of each other: what newer interests may have missed. */
  readonly unproven: TopicsSince
  /** The version of the receiver's interests that is known now. */
  readonly knows: number
}

export interface Hello extends Introduction {
  readonly type: 'hello'
  readonly seen: Seen
}

/** The last batch, and the last account, that a node has from each other node. */
export type Seen = Readonly<Record<string, readonly [batch: number, account: number]>>

export interface Synced extends Introduction, Account {
  readonly type: 'synced'
  readonly seen: number
}

export interface Settled extends Account {
  readonly type: 'settled'
}

/** Interests have begun (`+a.b`) and ended (`-a.b`). */
export interface Changed extends Sender {
  readonly type: 'changed'
  readonly version: number
  readonly changes: readonly string[]
}

/** Interests up to a version are known: messages that they match are sent from here on. */
export interface Applied extends Sender {
  readonly type: 'applied'
  readonly version: number
}

/** A sign of life. */
export interface Beat extends Sender {
  readonly type: 'beat'
  readonly seen: Seen
}

export interface Asked extends Sender {
  readonly type: 'asked'
  readonly question: number
  readonly name: string
  /** In the form that `encodeValue` writes. */
  readonly params: string
}

export interface Answered extends Sender {
  readonly type: 'answered'
  readonly question: number
  /** Undefined: there is no answer. */
  readonly answer?: string | undefined
}

/** It leaves, and has sent everything. */
export interface Bye extends Sender {
  readonly type: 'bye'
}

export function encodePacket(packet: Packet): Buffer {
  return Buffer.from(JSON.stringify(packet))
}

export function decodePacket(bytes: Buffer): Packet {
  return JSON.parse(bytes.toString())
}
