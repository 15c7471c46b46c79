import { Buffer } from 'node:buffer'
import { sentence } from '../../../shared/error-text.ts'
import { FanfareError } from '../../../shared/errors.ts'
import type { Position } from '../../../shared/streams.ts'
import type { Draft, Kept } from '../broker.ts'
import { overtakenAmong, wasOvertaken } from '../overtaken.ts'
import type { WaitingPublish } from '../waiting.ts'
import { type CommitEvent, listOf, type OpResult } from './answers.ts'
import type { CommitLog } from './commit-log.ts'
import { damagedPlace } from './damage.ts'
import type { EncodedAck, EncodedDraft, PublishingAck, PublishOps } from './publish-op.ts'
import { fullQueue, placesOf, type WaitingDrafts } from './waiting-drafts.ts'
import type { Op } from './writer.ts'

/** What publishes: a draft, or an ack with drafts. */
export type Publishing = Draft | PublishingAck

export function isAck(publishing: Publishing): publishing is PublishingAck {
  return 'settlement' in publishing
}

export function draftsOf(publishing: Publishing): readonly Draft[] {
  return isAck(publishing) ? publishing.settlement.drafts : [publishing]
}

/** A draft of a turn, and what has become of it. */
interface Slot {
  readonly encoded: EncodedDraft
  readonly arrival: number
  /** An earlier one of the same turn with the same id. */
  readonly sameAs: Slot | undefined
  /** The ack that publishes it. */
  readonly ack: AckSlot | undefined
  /** It has waited for room. */
  readonly waited: WaitingPublish | undefined
  /** `untold`: its publisher gets an answer to the ack only. */
  answer: Kept | FanfareError | 'waits' | 'untold' | undefined
}

interface AckSlot {
  readonly of: PublishingAck
  readonly arrival: number
  readonly slots: Slot[]
  answer: 'settled' | FanfareError | undefined
}

const NO_RECORD = Buffer.alloc(0)
/** Streams and queues that one publish may go to, or those of one ack together. */
const MAX_PLACES = 1_000

/** What one turn publishes: the drafts, the acks among them, and what becomes of each. */
export class TurnPublishes {
  private readonly ops: PublishOps
  private readonly log: CommitLog
  private readonly waiting: WaitingDrafts
  private readonly slots: Slot[] = []
  private readonly acks: AckSlot[] = []
  private readonly byIdentity = new Map<string, Slot>()
  /** Drafts that have failed with the turn, of those that no ack publishes. */
  readonly hasFailed: Draft[] = []
  /** Those that were sent last. */
  private open: readonly Slot[] = []
  private openAcks: readonly AckSlot[] = []

  constructor(ops: PublishOps, log: CommitLog, waiting: WaitingDrafts) {
    this.ops = ops
    this.log = log
    this.waiting = waiting
  }

  get count(): number {
    return this.slots.length
  }

  /** Of those that were sent last: publishes, and acks that publish. */
  get openCount(): number {
    return this.open.length + this.openAcks.length
  }

  /** Takes those that have waited, and then some that have not. Gives what has to wait for the next turn. */
  take(asked: readonly WaitingPublish[], publishing: readonly Publishing[]): readonly Publishing[] {
    for (const waited of asked) this.takeDraft(waited.draft, waited)
    for (const [at, each] of publishing.entries()) {
      if (!isAck(each)) this.takeDraft(each, undefined)
      else if (!this.takeAck(each)) return publishing.slice(at)
    }
    return []
  }

  private takeDraft(draft: Draft, waited: WaitingPublish | undefined): void {
    const arrival = waited?.arrival ?? this.waiting.waiting.arrives()
    const refusal = waited ? this.waiting.gone(draft) : (this.routed(draft) ?? this.waiting.admit(draft, arrival))
    const encoded = refusal ?? this.encoded(draft)
    if (typeof encoded !== 'object' || encoded instanceof FanfareError) {
      const nothing = { draft, record: NO_RECORD, identity: undefined }
      this.slots.push({ encoded: nothing, arrival, sameAs: undefined, ack: undefined, waited, answer: encoded })
    } else this.add(encoded, arrival, undefined, waited)
  }

  /** False: one of its ids is in this turn already, and how that ends is not known yet. */
  private takeAck(of: PublishingAck): boolean {
    const { drafts } = of.settlement
    const arrival = this.waiting.waiting.arrives()
    const ack: AckSlot = { of, arrival, slots: [], answer: undefined }
    const all: EncodedDraft[] = []
    for (const draft of drafts) {
      const encoded = this.routed(draft) ?? this.encoded(draft)
      if (encoded instanceof FanfareError) ack.answer ??= encoded
      else all.push(encoded)
    }
    ack.answer ??= tooWide(drafts) ?? this.waiting.admitAll(drafts, arrival)
    if (!ack.answer && all.some(({ identity }) => identity !== undefined && this.byIdentity.has(identity))) return false
    this.acks.push(ack)
    if (!ack.answer) for (const encoded of all) ack.slots.push(this.add(encoded, arrival, ack, undefined))
    return true
  }

  private add(
    encoded: EncodedDraft,
    arrival: number,
    ack: AckSlot | undefined,
    waited: WaitingPublish | undefined,
  ): Slot {
    const { identity } = encoded
    const sameAs = identity === undefined ? undefined : this.byIdentity.get(identity)
    const slot: Slot = { encoded, arrival, sameAs, ack, waited, answer: undefined }
    if (identity !== undefined && !sameAs && isKept(slot)) this.byIdentity.set(identity, slot)
    this.slots.push(slot)
    return slot
  }

  private encoded(draft: Draft): EncodedDraft | FanfareError {
    try {
      return this.ops.encode(draft)
    } catch (error) {
      const fault = `The message could not be stored: ${sentence((error as Error).message)}`
      return new FanfareError('storage_failed', fault)
    }
  }

  /** Routes a draft by the declarations as they are now; gives why it can no longer be published. */
  private routed(draft: Draft): FanfareError | undefined {
    try {
      if (draft.route.generation !== this.log.generation) draft.reroute()
      return tooWide([draft])
    } catch (error) {
      if (error instanceof FanfareError) return error
      throw error
    }
  }

  /** What has no answer yet, as an op. */
  next(): Op | undefined {
    this.openAcks = this.acks.filter(({ answer }) => answer === undefined)
    this.open = this.slots.filter(({ answer, sameAs }) => answer === undefined && !sameAs)
    if (this.open.length + this.openAcks.length === 0) return undefined
    const acks = this.openAcks.map((ack): EncodedAck => {
      const first = this.open.findIndex((slot) => slot.ack === ack)
      const count = first < 0 ? 0 : this.open.filter((slot) => slot.ack === ack).length
      return { fields: ack.of.fields, first: first + 1, count }
    })
    const drafts = this.open.map(({ encoded }) => encoded)
    return this.ops.op(drafts, acks, this.log.generation, this.log)
  }

  get needsRoom(): boolean {
    return this.open.some(isKept)
  }

  /** The drafts that were sent. */
  get sent(): readonly Draft[] {
    return this.open.map(({ encoded }) => encoded.draft)
  }

  // What has become of those that were sent

  done(event: CommitEvent | undefined): void {
    let at = 0
    for (const [count, bases] of event ? listOf(event.m) : []) {
      const names = Object.keys(bases)
      for (let n = 0; n < count; n++) {
        const slot = this.open[at++] as Slot
        const positions: Record<string, Position> = Object.create(null)
        for (const name of names) {
          positions[name] = { epoch: this.log.streams.get(name)?.epoch ?? '', offset: (bases[name] as number) + n }
        }
        const queues = slot.encoded.draft.route.queues.filter((name) => this.log.queues.has(name))
        slot.answer = { duplicate: false, positions, queues }
      }
    }
    for (const ack of this.openAcks) ack.answer = 'settled'
  }

  /** Some were published before: the others are sent again without them. */
  known({ k }: OpResult): void {
    const identified = this.open.filter(({ encoded }) => encoded.identity !== undefined)
    for (const [at, places] of listOf(k)) {
      const positions: Record<string, Position> = Object.create(null)
      const queues: string[] = []
      for (const [number, offset] of places) {
        const mirror = this.log.streamOf(number)
        const queue = this.log.queueOf(number)
        if (mirror) positions[mirror.options.name] = { epoch: mirror.epoch, offset }
        else if (queue) queues.push(queue.options.name)
      }
      const slot = identified[at]
      if (slot) slot.answer = { duplicate: true, positions, queues }
    }
    this.refuseOvertaken()
  }

  private refuseOvertaken(): void {
    const published = this.slots.filter(({ ack }) => !ack)
    const known = new Set(published.filter(({ answer }) => isDuplicate(answer)).map(({ encoded }) => encoded.draft))
    const drafts = published.map(({ encoded }) => encoded.draft)
    const overtaken = overtakenAmong(drafts, (draft) => known.has(draft))
    if (overtaken.size === 0) return
    for (const slot of published) if (overtaken.has(slot.encoded.draft)) slot.answer ??= wasOvertaken()
  }

  /** Some go to a stream or queue that is damaged. */
  damaged({ d }: OpResult): void {
    for (const [place, count, number] of listOf(d)) {
      const stream = this.log.streamOf(number)?.options.name
      const name = stream ?? this.log.queueOf(number)?.options.name ?? ''
      const error = damagedPlace(stream === undefined ? 'queue' : 'stream', name)
      for (const slot of this.open.slice(place - 1, place - 1 + count)) {
        if (slot.ack) refuseAck(slot.ack, error)
        else slot.answer = error
      }
    }
  }

  /** Some acks have lost their leases. */
  lost({ l }: OpResult): void {
    const { openAcks } = this
    for (const at of listOf(l)) refuseAck(openAcks[at - 1] as AckSlot, new FanfareError('lease_lost'))
  }

  /** Some have no room. Gives the numbers of the queues that have to make room first. */
  noRoom({ w }: OpResult): Set<number> {
    const { open, openAcks } = this
    const makeRoom = new Set<number>()
    const verdicts = new Map<Slot, 'waits' | FanfareError>()
    const full = new Map<AckSlot, FanfareError>()
    for (const [place, ackAt, verdict, number] of listOf(w)) {
      const refusal = fullQueue(this.log.queueOf(number)?.options.name ?? '')
      if (verdict === 'later') makeRoom.add(number)
      else if (ackAt > 0) full.set(openAcks[ackAt - 1] as AckSlot, refusal)
      else verdicts.set(open[place - 1] as Slot, verdict === 'wait' ? 'waits' : refusal)
    }
    for (const slot of open) {
      const { ack } = slot
      if (ack) this.judgeAck(ack, full.get(ack))
      else slot.answer = this.judge(slot, verdicts.get(slot))
    }
    return makeRoom
  }

  /** What comes after one that waits must not overtake it. */
  private judge(
    { encoded: { draft }, waited, arrival }: Slot,
    verdict: 'waits' | FanfareError | undefined,
  ): 'waits' | FanfareError | undefined {
    if (verdict instanceof FanfareError) return verdict
    if (waited) return verdict ? this.waiting.waitsOn(waited) : this.waiting.standing(waited)
    return verdict ? this.waiting.wait(draft, arrival) : this.waiting.admit(draft, arrival)
  }

  private judgeAck(ack: AckSlot, verdict: FanfareError | undefined): void {
    if (ack.answer) return
    const refusal = verdict ?? this.waiting.admitAll(ack.of.settlement.drafts, ack.arrival)
    if (refusal) refuseAck(ack, refusal)
  }

  /** They were routed by declarations that are not the latest. */
  rerouted(): void {
    for (const slot of this.open) {
      const refusal = slot.waited ? this.waiting.gone(slot.encoded.draft) : this.routed(slot.encoded.draft)
      if (refusal && slot.ack) refuseAck(slot.ack, refusal)
      else slot.answer = refusal
    }
  }

  /** The turn has failed. `onlyRoom`: what needs none may still go. */
  failed(error: FanfareError, onlyRoom: boolean): void {
    const stays = new Set<AckSlot>()
    for (const ack of this.openAcks) {
      if (onlyRoom && !this.open.some((slot) => slot.ack === ack && isKept(slot))) stays.add(ack)
      else ack.answer = error
    }
    for (const slot of this.open) {
      if (slot.ack ? stays.has(slot.ack) : onlyRoom && !isKept(slot)) continue
      slot.answer = error
      if (!slot.ack) this.hasFailed.push(slot.encoded.draft)
    }
  }

  /** How to tell those who wait, in order. */
  answers(): (() => void)[] {
    const answers: (() => void)[] = []
    for (const slot of this.slots) slot.answer ??= this.sameAsEarlier(slot)
    for (const slot of this.slots) if (!slot.ack) this.tell(slot, answers)
    for (const draft of this.waiting.overLimit()) answers.push(() => draft.refused(new FanfareError('waiting_limit')))
    for (const ack of this.acks) {
      for (const slot of ack.slots) this.tell(slot, answers)
      const { answer, of } = ack
      answers.push(() => (answer instanceof FanfareError ? of.refused(answer) : of.settled()))
    }
    return answers
  }

  /** The same if Redis lost the turn after it had answered it, before the outcome was reported. */
  lostAnswers(error: FanfareError): (() => void)[] {
    const answers: (() => void)[] = []
    for (const { encoded, answer } of this.slots) {
      const { draft } = encoded
      if (answer instanceof FanfareError) answers.push(() => draft.refused(answer))
      else if (answer !== 'waits' && answer !== 'untold') answers.push(() => draft.unknown(error))
    }
    for (const { of, answer } of this.acks)
      answers.push(() => of.refused(answer instanceof FanfareError ? answer : error))
    return answers
  }

  /** Of one that was not sent, because an earlier one has its id: if that one waits, it waits behind it. */
  private sameAsEarlier({ encoded: { draft }, arrival, sameAs }: Slot): Slot['answer'] {
    const answer = asDuplicate(sameAs?.answer)
    return answer === 'waits' ? this.waiting.wait(draft, arrival) : answer
  }

  private tell({ encoded: { draft }, waited, answer }: Slot, answers: (() => void)[]): void {
    if (waited && answer !== 'waits') this.waiting.ended(waited)
    if (answer === 'waits' || answer === 'untold' || answer === undefined) return
    const told = answer
    if (!(told instanceof FanfareError)) answers.push(() => draft.kept(told))
    else if (told.code === 'outcome_unknown') answers.push(() => draft.unknown(told))
    else answers.push(() => draft.refused(told))
  }
}

/** Redis does nothing else while it stores what is published in one step. */
function tooWide(drafts: readonly Draft[]): FanfareError | undefined {
  const places = drafts.reduce((sum, draft) => sum + placesOf(draft), 0)
  return places > MAX_PLACES ? new FanfareError('too_many_places') : undefined
}

function refuseAck(ack: AckSlot, error: FanfareError): void {
  ack.answer = error
  for (const slot of ack.slots) slot.answer = 'untold'
}

function isKept({ encoded: { draft } }: Slot): boolean {
  return draft.route.streams.length > 0 || draft.route.queues.length > 0
}

function isDuplicate(answer: Slot['answer']): boolean {
  return typeof answer === 'object' && !(answer instanceof FanfareError) && answer.duplicate
}

function asDuplicate(answer: Slot['answer']): Slot['answer'] {
  return typeof answer === 'object' && !(answer instanceof FanfareError) ? { ...answer, duplicate: true } : answer
}
