import type { Buffer } from 'node:buffer'
import type { StreamOptions } from '../../../shared/streams.ts'
import type { UnexpectedErrors } from '../../failure/unexpected-errors.ts'
import type { BrokerEvents, CommittedMessage, MessageParts } from '../broker.ts'
import { compose } from '../compose.ts'
import { type CommitEvent, type Declared, listOf, type SpaceState } from './answers.ts'
import { decodeRecord } from './record.ts'
import { StreamMirror } from './stream-mirror.ts'

/** How long a commit of another node may be missing before the whole state is read instead, in milliseconds. */
const HOLE_MS = 1_000

/** Until the hub listens. */
export const UNHEARD: BrokerEvents = {
  messages() {},
  missed() {},
  ready() {},
  streamDeclared() {},
  streamDeleted() {},
  queueDeclared() {},
  queueDeleted() {},
  committed() {},
}

interface PendingCommit {
  readonly event: CommitEvent
  messages(): CommittedMessage[]
}

interface After {
  readonly commit: number
  then(): void
}

/**
 * The log of all commits, of this node and of the others: applies them one by one, in the order of their numbers. With each the mirror moves, then what
 * happened is reported, then those who wait for it are answered.
 */
export class CommitLog {
  events = UNHEARD
  readonly streams = new Map<string, StreamMirror>()
  /** The last commit that is applied. */
  applied = 0
  generation = 0
  private readonly byNumber = new Map<number, StreamMirror>()
  private readonly unexpected: UnexpectedErrors
  private readonly resync: () => void
  private readonly pending = new Map<number, PendingCommit>()
  private waiting: After[] = []
  private hole: NodeJS.Timeout | undefined = undefined
  /** Up to which commit all is safe: no failover takes it back. */
  private safe = 0
  private isOpen = false
  /** Of the space, as of the last state. */
  private incarnation = 0

  /** `resync`: commits were missed, the state has to be read. */
  constructor(unexpected: UnexpectedErrors, resync: () => void) {
    this.unexpected = unexpected
    this.resync = resync
  }

  /** The newest commit that is known of, applied or not. */
  get newest(): number {
    return Math.max(this.applied, ...this.pending.keys())
  }

  /** A commit of this node. */
  own(event: CommitEvent, messages: CommittedMessage[]): void {
    this.take({ event, messages: () => messages })
  }

  /** A commit of another one. */
  heard(event: CommitEvent, records: Buffer): void {
    this.take({ event, messages: () => messagesIn(event, records) })
  }

  /** Once a commit is applied. */
  after(commit: number, then: () => void): void {
    if (commit <= this.applied) return void this.unexpected.run('broker', then)
    this.waiting.push({ commit, then })
    this.watch()
  }

  reached(commit: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(commit, resolve)
    })
  }

  /** All commits up to this one are safe. */
  isSafe(commit: number): void {
    this.safe = Math.max(this.safe, commit)
    this.applyAll()
  }

  /** Goes to a state that was read, past commits that were not heard. */
  jump(state: SpaceState): void {
    const hasMissed = this.isOpen && state.c > this.applied
    const missed = new Map<string, number>()
    this.isOpen = true
    this.generation = state.g
    const there = new Set<number>(listOf(state.s).map(([, number]) => number))
    for (const [name, mirror] of this.streams) if (!there.has(mirror.number)) this.delete(name, mirror)
    for (const [name, number, options, epoch, numbers] of [...listOf(state.s)].sort((a, b) => a[1] - b[1])) {
      const known = this.byNumber.get(number)
      const isNew = known?.incarnation !== state.n || JSON.stringify(known.options) !== options
      const mirror = this.declare(name, number, options, epoch, state.n)
      const { next } = mirror
      mirror.take(numbers)
      if (known === mirror && next < mirror.next) missed.set(name, next)
      if (isNew) this.report((events) => events.streamDeclared(mirror))
    }
    const heard = [...this.pending].filter(([commit]) => commit <= state.c).sort(([a], [b]) => a - b)
    this.applied = state.c
    this.safe = Math.max(this.safe, state.c)
    if (hasMissed) this.report((events) => events.missed(missed))
    for (const [commit, { messages }] of heard) {
      this.pending.delete(commit)
      this.reportMessages(messages())
    }
    this.answer()
    this.applyAll()
  }

  /** Reports everything that there is to those who begin to listen. */
  reportAll(): void {
    for (const mirror of this.streams.values()) this.report((events) => events.streamDeclared(mirror))
  }

  /** A new space begins: commits count from the start. */
  forget(): void {
    this.applied = 0
    this.safe = 0
    this.pending.clear()
  }

  close(): void {
    clearTimeout(this.hole)
  }

  streamOf(number: number): StreamMirror | undefined {
    return this.byNumber.get(number)
  }

  private take(commit: PendingCommit): void {
    if (commit.event.c <= this.applied) return
    this.pending.set(commit.event.c, commit)
    this.applyAll()
  }

  private applyAll(): void {
    for (let next = this.applied + 1; next <= this.safe; next++) {
      const commit = this.pending.get(next)
      if (!commit) break
      this.pending.delete(next)
      this.apply(commit)
    }
    this.watch()
  }

  /** What is missing comes soon, or the link to those who say it was lost. */
  private watch(): void {
    const isMissing = !this.pending.has(this.applied + 1) && (this.pending.size > 0 || this.waiting.length > 0)
    if (!isMissing) {
      clearTimeout(this.hole)
      this.hole = undefined
    } else {
      this.hole ??= setTimeout(() => {
        this.hole = undefined
        this.resync()
        this.watch()
      }, HOLE_MS)
    }
  }

  private apply({ event, messages }: PendingCommit): void {
    this.applied = event.c
    this.generation = event.g
    const said: ((events: BrokerEvents) => void)[] = []
    for (const each of listOf<Declared>(event.d)) said.push(this.takeDeclared(each))
    for (const numbers of listOf(event.s)) this.byNumber.get(numbers[0] as number)?.take(numbers)
    for (const say of said) this.report(say)
    if (listOf(event.m).length > 0) this.reportMessages(messages())
    this.answer()
  }

  private takeDeclared(declared: Declared): (events: BrokerEvents) => void {
    if (declared[0] === '-stream') {
      const [, name, number] = declared
      const mirror = this.byNumber.get(number)
      if (!mirror) return () => {}
      this.forgetStream(name, mirror)
      return (events) => events.streamDeleted(name)
    }
    const [, name, number, options, epoch] = declared
    const mirror = this.declare(name, number, options, epoch, this.incarnation)
    return (events) => events.streamDeclared(mirror)
  }

  private declare(name: string, number: number, options: string, epoch: string, incarnation: number): StreamMirror {
    let mirror = this.byNumber.get(number)
    if (mirror && mirror.incarnation === incarnation) mirror.options = JSON.parse(options) as StreamOptions
    else {
      mirror = new StreamMirror(number, JSON.parse(options) as StreamOptions, epoch, incarnation)
      this.byNumber.set(number, mirror)
      this.streams.set(name, mirror)
    }
    this.incarnation = incarnation
    return mirror
  }

  private delete(name: string, mirror: StreamMirror): void {
    this.forgetStream(name, mirror)
    this.report((events) => events.streamDeleted(name))
  }

  private forgetStream(name: string, mirror: StreamMirror): void {
    this.byNumber.delete(mirror.number)
    if (this.streams.get(name) === mirror) this.streams.delete(name)
  }

  private answer(): void {
    const due = this.waiting.filter(({ commit }) => commit <= this.applied)
    if (due.length === 0) return
    this.waiting = this.waiting.filter(({ commit }) => commit > this.applied)
    for (const { then } of due) this.unexpected.run('broker', then)
  }

  private reportMessages(messages: readonly CommittedMessage[]): void {
    if (messages.length > 0) this.report((events) => events.messages(messages))
  }

  private report(say: (events: BrokerEvents) => void): void {
    this.unexpected.run('broker', () => say(this.events))
  }
}

/** The messages of a commit, from the records that came with it. */
function messagesIn(event: CommitEvent, records: Buffer): CommittedMessage[] {
  const parts: MessageParts[] = []
  for (let at = 0; at < records.length; ) {
    const [record, end] = decodeRecord(records, at)
    parts.push(record)
    at = end
  }
  return placed(event, parts)
}

/** Messages with the places that a commit gave them. */
export function placed(event: CommitEvent, parts: readonly MessageParts[]): CommittedMessage[] {
  const messages: CommittedMessage[] = []
  for (const [count, bases] of listOf(event.m)) {
    const names = Object.keys(bases)
    for (let n = 0; n < count; n++) {
      const each = parts[messages.length] as MessageParts
      messages.push(place(each, names, bases, n, event.t))
    }
  }
  return messages
}

function place(
  parts: MessageParts,
  names: readonly string[],
  bases: Readonly<Record<string, number>>,
  n: number,
  publishedAt: number,
): CommittedMessage {
  if (names.length === 0) return { parts, placement: undefined, wire: compose(parts, undefined) }
  const offsets: Record<string, number> = Object.create(null)
  for (const name of names) offsets[name] = (bases[name] as number) + n
  const placement = { publishedAt, offsets, scope: undefined }
  return { parts, placement, wire: compose(parts, placement) }
}
