import type { Buffer } from 'node:buffer'
import type { Clock } from '../../../shared/clock.ts'
import { FanfareError } from '../../../shared/errors.ts'
import { randomId } from '../../id/random-id.ts'
import type { Delivery, DeliveryId, Ending, Settlement } from '../broker.ts'
import { type Fate, fateOf } from '../rules/fate.ts'
import { AckBatch, type Packed, seqsOf } from './ack-batch.ts'
import { listOf, type OpResult, valuesOf } from './answers.ts'
import { BACK_AT_ONCE, BACK_BYTES, ENDING_MICROS, GIVING_BACK_MICROS, LEASE_MICROS, LONG_MICROS } from './costs.ts'
import { type Given, givenIn, type Wire } from './given.ts'
import type { Argument } from './link.ts'
import { QUEUE_LOOK } from './lua/reads.ts'
import type { QueueMirror } from './queue-mirror.ts'
import { readBody } from './queue-record.ts'
import type { StreamReads } from './stream-reads.ts'
import type { Turns } from './turns.ts'

/** Messages that one op leases, and bytes after which it leases no more. */
const LEASED_AT_ONCE = 300
const LEASED_BYTES = 512 * 1024

/** What the attempt of a node ended in that gave no sign of life. */
const NODE_LOST = 'The hub of the consumer was lost.'

/** What was on lease to a lost node: the number of the queue, the seq, and the attempts. */
type Lapsed = readonly [number, number, number]

/** A message that this node has on lease. */
interface Held {
  readonly mirror: QueueMirror
  readonly seq: number
  /** That failed before this one. */
  readonly attempts: number
  readonly packed: Packed | undefined
  /** Undefined unless its settlement is under way: then what to do once that has an outcome. */
  afterEnding: (() => void)[] | undefined
}

/**
 * The leases of this node. Redis knows that a message is with a node; the number of the delivery, and what has failed before, the node knows. What is lost
 * with a lost link is put right by `reconcile`: what this node does not know to have goes back.
 */
export class QueueLeases {
  /** Whose leases they are in Redis: another one after this node has been taken for gone. */
  lessee = randomId(10)
  private readonly turns: Turns
  private readonly reads: StreamReads
  private readonly clock: Clock
  private readonly held = new Map<DeliveryId, Held>()
  private readonly batches = new Map<QueueMirror, AckBatch>()
  /** Queues of which Redis may have leases of this node that it does not know of. */
  private readonly uncertain = new Set<QueueMirror>()
  /** How many leases are asked for, by queue. */
  private readonly asking = new Map<QueueMirror, number>()
  private last = 0

  constructor(turns: Turns, reads: StreamReads, clock: Clock) {
    this.turns = turns
    this.reads = reads
    this.clock = clock
  }

  async lease(mirror: QueueMirror, count: number, bytes: number): Promise<Delivery[]> {
    const deliveries: Delivery[] = []
    let left = bytes
    while (deliveries.length < count && left > 0) {
      const wanted = Math.min(LEASED_AT_ONCE, count - deliveries.length)
      const { some, isCut } = await this.leaseSome(mirror, wanted, Math.min(LEASED_BYTES, left))
      for (const each of some) {
        deliveries.push(each)
        left -= each.wire.length
      }
      if (some.length < wanted && !isCut) break
    }
    mirror.isHungry = deliveries.length === 0
    return deliveries
  }

  /** `isCut`: the bytes ended it, and there may be more. */
  private async leaseSome(
    mirror: QueueMirror,
    count: number,
    bytes: number,
  ): Promise<{ some: readonly Delivery[]; isCut: boolean }> {
    const { lessee } = this
    const op = { name: 'qlease', args: [mirror.number, count, bytes, lessee], micros: count * mirror.leaseMicros }
    // A queue that is busy has no other moment without a lease under way.
    this.reconcileOne(mirror)
    let result: OpResult
    this.asking.set(mirror, (this.asking.get(mirror) ?? 0) + 1)
    try {
      result = await this.turns.task(op, { frees: true })
    } catch (error) {
      // It is asked for again, once there is a link.
      if (!(error instanceof FanfareError)) throw error
      this.uncertain.add(mirror)
      return NOTHING
    } finally {
      const left = (this.asking.get(mirror) ?? 1) - 1
      if (left > 0) this.asking.set(mirror, left)
      else this.asking.delete(mirror)
    }
    const given = givenIn(result)
    if (given.length === 0 || lessee !== this.lessee) return NOTHING
    mirror.leaseMicros = given[0]?.packed ? LEASE_MICROS.packed : LEASE_MICROS.inParts
    const ids = given.map(({ seq, attempts, packed }) =>
      this.hold({ mirror, seq, attempts, packed, afterEnding: undefined }),
    )
    try {
      // The turn was sent again: what is leased is not kept with its answer.
      const wires = result.bodies ? given.map(({ wire }) => wire) : await this.wiresOf(mirror, seqsOf(given))
      return { some: this.deliveriesOf(mirror, given, wires, ids), isCut: (result.bytes ?? 0) >= bytes }
    } catch (error) {
      this.giveBack(ids)
      if (error instanceof FanfareError) return NOTHING
      throw error
    }
  }

  isAsking(mirror: QueueMirror): boolean {
    return this.asking.has(mirror)
  }

  private hold(held: Held): number {
    this.held.set(++this.last, held)
    return this.last
  }

  private deliveriesOf(
    mirror: QueueMirror,
    given: readonly Given[],
    wires: readonly (Wire | undefined)[],
    ids: readonly number[],
  ): Delivery[] {
    const deliveries: Delivery[] = []
    const unreadable: number[] = []
    for (const [at, { seq, attempts, lastError }] of given.entries()) {
      const wire = wires[at]
      const id = ids[at] as number
      if (wire !== undefined) deliveries.push({ id, seq, wire, attempt: attempts + 1, lastError })
      else if (this.held.delete(id)) unreadable.push(seq)
    }
    if (unreadable.length > 0) this.setAside(mirror, unreadable)
    return deliveries
  }

  /** They are damaged; or the queue was deleted, and this does nothing. */
  private setAside(mirror: QueueMirror, seqs: readonly number[]): void {
    const op = { name: 'qaside', args: [mirror.number, this.lessee, ...seqs], micros: seqs.length * ENDING_MICROS }
    this.turns.task(op, { frees: true }).catch(() => this.uncertain.add(mirror))
  }

  private async wiresOf({ number }: QueueMirror, seqs: readonly number[]): Promise<(Wire | undefined)[]> {
    const bodies = (await this.reads.run(QUEUE_LOOK, 'bodies', number, ...seqs)) as (Buffer | null)[]
    return bodies.map((body) => readBody(body)?.wire)
  }

  /** The wire form of a message on lease. */
  async wireOf(delivery: DeliveryId): Promise<Wire | undefined> {
    const held = this.held.get(delivery)
    const [wire] = held ? await this.wiresOf(held.mirror, [held.seq]) : []
    return wire
  }

  settle(settlement: Settlement, mirror: QueueMirror | undefined): void {
    const { delivery, ending } = settlement
    if (delivery === undefined && mirror) return this.settleLate(settlement, mirror)
    const held = this.held.get(delivery as DeliveryId)
    if (!held || held.mirror !== mirror) return refuseLater(settlement)
    // The consumer was lost while its settlement was under way. If that fails, this one counts.
    if (held.afterEnding) return void held.afterEnding.push(() => this.settle(settlement, mirror))
    const after: (() => void)[] = []
    held.afterEnding = after
    const ended = (isOver: boolean, tell: () => void) => {
      if (isOver) this.held.delete(delivery as DeliveryId)
      held.afterEnding = undefined
      tell()
      for (const each of after) each()
    }
    const done = (lost: boolean) =>
      ended(true, () => (lost ? settlement.refused(new FanfareError('lease_lost')) : settlement.settled()))
    const fate = fateOf(ending, held.attempts, mirror.options, this.clock)
    const failed = (error: FanfareError) => {
      const isOpen = fate.kind === 'retry' && error.code === 'outcome_unknown'
      // It may wait again, and be leased to this node again: nothing more must be done to that lease in the name of this one.
      if (isOpen) this.uncertain.add(mirror)
      ended(isOpen || error.code === 'lease_lost', () => end(settlement, error))
    }
    if (isPlainAck(settlement, fate)) this.batchOf(mirror).add(held, done, failed)
    else this.end(settlement, mirror, this.lessee, held.seq, fate, done, failed)
  }

  /** Of a message that waits. */
  private settleLate(settlement: Settlement, mirror: QueueMirror): void {
    const { ending, seq } = settlement
    const done = (lost: boolean) => (lost ? settlement.refused(new FanfareError('lease_lost')) : settlement.settled())
    const failed = (error: FanfareError) => end(settlement, error)
    const settle = (attempts: number) => {
      const fate = fateOf(ending, attempts, mirror.options, this.clock)
      this.end(settlement, mirror, '', seq, fate, done, failed)
    }
    if (ending.kind === 'ack') settle(0)
    else this.attemptsOf(mirror, seq).then(settle, (error) => failed(known(error)))
  }

  private async attemptsOf({ number }: QueueMirror, seq: number): Promise<number> {
    return Number(await this.reads.run(QUEUE_LOOK, 'attempts', number, seq))
  }

  private end(
    settlement: Settlement,
    mirror: QueueMirror,
    lessee: string,
    seq: number,
    fate: Fate,
    done: (lost: boolean) => void,
    failed: (error: FanfareError) => void,
  ): void {
    const fields = endingFields(mirror.number, lessee, seq, fate)
    if (settlement.drafts.length > 0) {
      this.turns.publishWith({ settlement, fields, settled: () => done(false), refused: failed })
    } else {
      const ended = this.turns.task({ name: 'qend', args: fields, micros: ENDING_MICROS }, { frees: true, settles: 1 })
      ended.then(
        ({ x }) => done(x === 'LOST'),
        (error) => failed(known(error)),
      )
    }
  }

  private batchOf(mirror: QueueMirror): AckBatch {
    const open = this.batches.get(mirror)
    if (open?.isOpen) return open
    const batch = new AckBatch(mirror.number, this.lessee)
    this.batches.set(mirror, batch)
    const close = () => {
      if (this.batches.get(mirror) === batch) this.batches.delete(mirror)
    }
    this.turns.task(batch, { frees: true, settles: 1 }).then(
      (lost) => {
        close()
        batch.answered(lost)
      },
      (error) => {
        close()
        batch.failed(known(error))
      },
    )
    return batch
  }

  giveBack(deliveries: readonly DeliveryId[]): void {
    const byMirror = new Map<QueueMirror, Held[]>()
    for (const id of deliveries) {
      const held = this.held.get(id)
      if (!held) continue
      if (held.afterEnding) {
        held.afterEnding.push(() => this.giveBack([id]))
        continue
      }
      this.held.delete(id)
      const others = byMirror.get(held.mirror)
      if (others) others.push(held)
      else byMirror.set(held.mirror, [held])
    }
    for (const [mirror, all] of byMirror) {
      for (const some of inOps(all)) {
        const args = [mirror.number, this.lessee, ...seqsOf(some)]
        const op = { name: 'qback', args, micros: some.length * GIVING_BACK_MICROS }
        const back = this.turns.task(op, { frees: true })
        back.catch(() => this.uncertain.add(mirror))
      }
    }
  }

  /** Gives back what Redis thinks this node has, where it is not so. */
  reconcile(): void {
    for (const mirror of this.uncertain) this.reconcileOne(mirror)
  }

  /** Not while a lease is under way: what that brings is not known yet. */
  private reconcileOne(mirror: QueueMirror): void {
    if (this.asking.has(mirror) || !this.uncertain.delete(mirror)) return
    const again = () => this.uncertain.add(mirror)
    this.keepOnly(mirror, this.heldOf(mirror)).then((isDone) => isDone || again(), again)
  }

  private heldOf(mirror: QueueMirror): number[] {
    return [...this.held.values()].filter((held) => held.mirror === mirror).map(({ seq }) => seq)
  }

  /** Gives back some of the others. Tells whether that was all of them. */
  private async keepOnly({ number }: QueueMirror, seqs: readonly number[]): Promise<boolean> {
    const op = { name: 'qkeep', args: [number, this.lessee, ...seqs], micros: LONG_MICROS }
    const [back = 0] = listOf<number>((await this.turns.task(op, { frees: true })) as object)
    return back < BACK_AT_ONCE
  }

  private async keepNone(mirror: QueueMirror): Promise<void> {
    while (!(await this.keepOnly(mirror, []))) {}
  }

  /** This node was taken for gone: all of its leases are another's. */
  fenced(): void {
    this.lessee = randomId(10)
    this.held.clear()
    this.batches.clear()
    this.uncertain.clear()
  }

  forget(mirror: QueueMirror): void {
    for (const [id, held] of this.held) if (held.mirror === mirror) this.held.delete(id)
    this.uncertain.delete(mirror)
  }

  /** Gives back everything. */
  async close(): Promise<void> {
    const mirrors = new Set([...this.uncertain, ...[...this.held.values()].map(({ mirror }) => mirror)])
    this.held.clear()
    await Promise.all([...mirrors].map((mirror) => this.keepNone(mirror).catch(() => {})))
  }

  /** What another node had on lease that was lost is a failed attempt each. */
  async reap(lessee: string, mirrorOf: (number: number) => QueueMirror | undefined): Promise<void> {
    for (;;) {
      const result = await this.turns.task({ name: 'qlapsed', args: [lessee] }, { frees: true })
      const [isDone, found] = valuesOf<[boolean, readonly Lapsed[]]>(result)
      if (isDone) return
      const ends = listOf<Lapsed>(found).flatMap(([number, seq, attempts]) => {
        const mirror = mirrorOf(number)
        if (!mirror) return []
        const ending: Ending = { kind: 'nack', error: NODE_LOST, delayMs: undefined }
        const fate = fateOf(ending, attempts, mirror.options, this.clock)
        const op = { name: 'qend', args: endingFields(number, lessee, seq, fate), micros: ENDING_MICROS }
        return [this.turns.task(op, { frees: true })]
      })
      if (ends.length === 0) return
      await Promise.all(ends)
    }
  }
}

const NOTHING = { some: [], isCut: false }

/** What one op gives back. Messages that leave their batch are written once more. */
function* inOps(all: readonly Held[]): Iterable<Held[]> {
  let some: Held[] = []
  let bytes = 0
  for (const held of all) {
    some.push(held)
    bytes += held.packed?.bytes ?? 0
    if (some.length < BACK_AT_ONCE && bytes < BACK_BYTES) continue
    yield some
    some = []
    bytes = 0
  }
  if (some.length > 0) yield some
}

/** Such acks go together. */
function isPlainAck({ drafts }: Settlement, { kind }: Fate): boolean {
  return drafts.length === 0 && kind === 'done'
}

/** As `q.ending` in `lua/queues.ts` takes them. */
function endingFields(queue: number, lessee: string, seq: number, fate: Fate): Argument[] {
  const head = [queue, lessee, seq]
  if (fate.kind === 'done') return [...head, 'ack', 0, '', 0, '']
  const error = fate.error === undefined ? [0, ''] : [1, fate.error]
  if (fate.kind === 'retry') return [...head, 'retry', fate.attempts, Math.round(fate.delayMs), ...error]
  return [...head, 'dead', fate.attempts, fate.reason, ...error]
}

function known(error: unknown): FanfareError {
  return error instanceof FanfareError ? error : new FanfareError('storage_failed')
}

function end(settlement: Settlement, error: FanfareError): void {
  if (error.code === 'outcome_unknown') settlement.unknown(error)
  else settlement.refused(error)
}

/** Answers later, not during the call to `settle`: the caller does not expect a callback from within its own call. */
function refuseLater(settlement: Settlement): void {
  queueMicrotask(() => settlement.refused(new FanfareError('lease_lost')))
}
