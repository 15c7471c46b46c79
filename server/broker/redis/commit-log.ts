import type { Buffer } from 'node:buffer'
import type { QueueOptions } from '../../../shared/queues.ts'
import type { StreamOptions } from '../../../shared/streams.ts'
import type { UnexpectedErrors } from '../../failure/unexpected-errors.ts'
import type { BrokerEvents, CommittedMessage } from '../broker.ts'
import { type CommitEvent, type Declared, listOf, type SpaceState } from './answers.ts'
import { messagesIn } from './placed-message.ts'
import { QueueMirror } from './queue-mirror.ts'
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
  /** Redis has lost the commit before it was safe. */
  lost(): void
}

/**
 * The log of all commits, of this node and of the others: applies them one by one, in the order of their numbers. With each the mirror moves, then what
 * happened is reported, then those who wait for it are answered.
 */
export class CommitLog {
  events = UNHEARD
  readonly streams = new Map<string, StreamMirror>()
  readonly queues = new Map<string, QueueMirror>()
  /** Told of a queue that was declared, with other options than before, or deleted: then which it was. */
  queueChanged: (name: string, deleted: QueueMirror | undefined) => void = () => {}
  /** The last commit that is applied. */
  applied = 0
  generation = 0
  /** How often all streams got new epochs. */
  newEpochs = 0
  private readonly byNumber = new Map<number, StreamMirror>()
  private readonly queuesByNumber = new Map<number, QueueMirror>()
  private readonly unexpected: UnexpectedErrors
  private readonly resync: () => void
  private readonly pending = new Map<number, PendingCommit>()
  private waiting: After[] = []
  private hole: NodeJS.Timeout | undefined = undefined
  /** Up to which commit of this link all is safe: no failover takes it back. */
  private safe = 0
  /** A state is known. */
  isOpen = false
  /** Until the state is read again: what is heard meanwhile may follow on what Redis has lost. */
  private isPaused = true
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
  heard(event: CommitEvent, records: readonly Buffer[]): void {
    this.take({ event, messages: () => messagesIn(event, records) })
  }

  /** Once a commit is applied; or once it turns out that Redis has lost it. */
  after(commit: number, then: () => void, lost: () => void = then): void {
    if (commit <= this.applied) return void this.unexpected.run('broker', then)
    this.waiting.push({ commit, then, lost })
    this.watch()
  }

  /** The link is lost, or new: nothing is applied until the state has been read. What was heard before is in that state, if Redis still has it. */
  pause(): void {
    this.isPaused = true
    this.pending.clear()
    // Of another link: what becomes safe from now on, also before the state is known, is of the new one.
    this.safe = 0
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

  /**
   * Goes to a state that was read, past commits that were not heard. `isRenewed`: the space is another one, in which the streams of the one before were
   * declared again.
   */
  jump(state: SpaceState, isRenewed = false): void {
    const hasGoneBack = isRenewed || (this.isOpen && state.n !== this.incarnation)
    // Without streams and queues nothing was lost with the commits.
    const hasLost =
      hasGoneBack && this.streams.size + this.queues.size + listOf(state.s).length + listOf(state.q).length > 0
    const hasMissed = this.isOpen && (hasLost || state.c > this.applied)
    if (hasGoneBack) {
      this.newEpochs++
      this.goBack(state.c)
    }
    const missed = this.takeState(state, isRenewed)
    this.isOpen = true
    this.isPaused = false
    this.generation = state.g
    this.jumpQueues(state, isRenewed)
    this.applied = state.c
    this.safe = Math.max(this.safe, state.c)
    // Feeds read what they missed from the log: not from what is reported now.
    if (hasMissed) this.report((events) => events.missed(missed))
    const heard = [...this.pending].filter(([commit]) => commit <= state.c).sort(([a], [b]) => a - b)
    for (const [commit, { messages }] of heard) {
      this.pending.delete(commit)
      this.reportMessages(messages())
    }
    this.answer()
    this.applyAll()
  }

  /** Redis has only commits up to this one, and will use the numbers of the others again. */
  private goBack(commit: number): void {
    this.applied = Math.min(this.applied, commit)
    const lost = this.waiting.filter((each) => each.commit > commit)
    this.waiting = this.waiting.filter((each) => each.commit <= commit)
    for (const each of lost) this.unexpected.run('broker', () => each.lost())
  }

  /** Nothing that is not applied yet happened: its numbers are those of other commits now. */
  dropUnsafe(): void {
    this.safe = 0
    this.goBack(this.applied)
  }

  /** Those who wait get no answer soon: what they wait for is in Redis, and not safe. */
  giveUp(): void {
    const { waiting } = this
    this.waiting = []
    for (const each of waiting) this.unexpected.run('broker', () => each.lost())
  }

  /** Takes declarations and states over. Returns from which offset of each stream messages were missed. */
  private takeState({ s, n: incarnation }: SpaceState, isRenewed: boolean): Map<string, number> {
    const all = [...listOf(s)].sort((a, b) => a[1] - b[1])
    const numbers = new Map(all.map(([name, number]) => [name, number]))
    for (const [name, mirror] of this.streams) {
      const number = numbers.get(name)
      if (isRenewed && number !== undefined) this.byNumber.delete(mirror.number)
      else if (number !== mirror.number) this.delete(name, mirror)
    }
    this.incarnation = incarnation
    const missed = new Map<string, number>()
    for (const [name, number, options, epoch, state] of all) {
      const known = this.byNumber.get(number)
      const isSame = known?.incarnation === incarnation
      const isNew = !isSame || JSON.stringify(known.options) !== options
      const next = known?.next ?? 0
      const mirror = this.declare(name, number, options, epoch)
      mirror.take(state)
      if (isSame && next < mirror.next) missed.set(name, next)
      if (isNew) this.report((events) => events.streamDeclared(mirror))
    }
    return missed
  }

  /** Reports everything that there is to those who begin to listen. */
  reportAll(): void {
    for (const mirror of this.streams.values()) this.report((events) => events.streamDeclared(mirror))
    for (const { options } of this.queues.values()) this.report((events) => events.queueDeclared(options))
  }

  close(): void {
    clearTimeout(this.hole)
  }

  streamOf(number: number): StreamMirror | undefined {
    return this.byNumber.get(number)
  }

  queueOf(number: number): QueueMirror | undefined {
    return this.queuesByNumber.get(number)
  }

  private jumpQueues({ q }: SpaceState, isRenewed: boolean): void {
    const all = [...listOf(q)].sort((a, b) => a[1] - b[1])
    const numbers = new Map(all.map(([name, number]) => [name, number]))
    for (const [name, mirror] of this.queues) {
      const number = numbers.get(name)
      if (isRenewed && number !== undefined) this.queuesByNumber.delete(mirror.number)
      else if (number !== mirror.number) this.forgetQueue(name, mirror)
    }
    for (const [name, number, options] of all) {
      const known = this.queuesByNumber.get(number)
      if (!known || JSON.stringify(known.options) !== options) this.declareQueue(name, number, options, false)
    }
  }

  private declareQueue(name: string, number: number, json: string, isNew: boolean): void {
    const options = JSON.parse(json) as QueueOptions
    const known = this.queuesByNumber.get(number)
    if (known) known.options = options
    else {
      const mirror = new QueueMirror(number, options, isNew)
      this.queuesByNumber.set(number, mirror)
      this.queues.set(name, mirror)
    }
    this.report((events) => events.queueDeclared(options))
    this.unexpected.run('broker', () => this.queueChanged(name, undefined))
  }

  private forgetQueue(name: string, mirror: QueueMirror): void {
    this.queuesByNumber.delete(mirror.number)
    if (this.queues.get(name) === mirror) this.queues.delete(name)
    this.report((events) => events.queueDeleted(name))
    this.unexpected.run('broker', () => this.queueChanged(name, mirror))
  }

  private take(commit: PendingCommit): void {
    // Which numbers are new is unknown until the state has been read.
    if (!this.isPaused && commit.event.c <= this.applied) return
    this.pending.set(commit.event.c, commit)
    this.applyAll()
  }

  private applyAll(): void {
    if (this.isPaused) return
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
    if (declared[0] === '-queue') {
      const [, name, number] = declared
      const mirror = this.queuesByNumber.get(number)
      return () => mirror && this.forgetQueue(name, mirror)
    }
    if (declared[0] === 'queue') {
      const [, name, number, options] = declared
      return () => this.declareQueue(name, number, options, true)
    }
    if (declared[0] === '-stream') {
      const [, name, number] = declared
      const mirror = this.byNumber.get(number)
      if (!mirror) return () => {}
      this.forgetStream(name, mirror)
      return (events) => events.streamDeleted(name)
    }
    const [, name, number, options, epoch] = declared
    const mirror = this.declare(name, number, options, epoch)
    return (events) => events.streamDeclared(mirror)
  }

  private declare(name: string, number: number, options: string, epoch: string): StreamMirror {
    const { incarnation } = this
    let mirror = this.byNumber.get(number)
    if (mirror && mirror.incarnation === incarnation) mirror.options = JSON.parse(options) as StreamOptions
    else {
      mirror = new StreamMirror(number, JSON.parse(options) as StreamOptions, epoch, incarnation)
      this.byNumber.set(number, mirror)
      this.streams.set(name, mirror)
    }
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
