import type { Clock } from '../../../shared/clock.ts'
import { quoted } from '../../../shared/error-text.ts'
import { FanfareError } from '../../../shared/errors.ts'
import type { DeadLetter, DeadLetterFilter, QueueOptions, QueueStatus } from '../../../shared/queues.ts'
import type { Delivery, DeliveryId, Settlement } from '../broker.ts'
import { DueTimes } from '../due-times.ts'
import type { LetterNumbers, LetterRange } from '../letter-pages.ts'
import { alreadyExists, isDeclared } from '../rules/declarations.ts'
import { type Call, listOf, type OpResult, type QueueLook, valuesOf } from './answers.ts'
import type { CommitLog } from './commit-log.ts'
import { LONG_MICROS } from './costs.ts'
import { declareQueueOp } from './declare-ops.ts'
import { QUEUE_LOOK } from './lua/reads.ts'
import { QueueLeases } from './queue-leases.ts'
import { QueueLetters } from './queue-letters.ts'
import { type Figures, numberIn, type QueueMirror } from './queue-mirror.ts'
import type { StreamReads } from './stream-reads.ts'
import type { Turns } from './turns.ts'
import { fullQueue, type WaitingDrafts } from './waiting-drafts.ts'
import type { Op } from './writer.ts'

/** How often this node looks at what others have changed, in milliseconds. Other nodes notify it of what it waits for; this catches a notice that was lost. */
const LOOK_MS = 1_000
/** Queues that one look takes. */
const LOOK_QUEUES = 200

/** The queues of a broker on Redis. */
export class RedisQueues {
  private readonly log: CommitLog
  private readonly turns: Turns
  private readonly reads: StreamReads
  private readonly waiting: WaitingDrafts
  private readonly clock: Clock
  private readonly leases: QueueLeases
  private readonly letters: QueueLetters
  private readonly due = new DueTimes<QueueMirror>()
  /** Queues that are being looked after. */
  private readonly busy = new Set<QueueMirror>()
  /** All that has changed up to here has been looked at. */
  private stamp = 0
  private lookedAt = Number.NEGATIVE_INFINITY
  private isLooking = false

  constructor(log: CommitLog, turns: Turns, reads: StreamReads, waiting: WaitingDrafts, clock: Clock) {
    this.log = log
    this.turns = turns
    this.reads = reads
    this.waiting = waiting
    this.clock = clock
    this.leases = new QueueLeases(turns, reads, clock)
    this.letters = new QueueLetters(turns, reads)
    turns.onFigures = (all) => this.changed(all)
    log.queueChanged = (name, deleted) => {
      if (deleted) this.forget(deleted)
      turns.queueChanged(name)
    }
  }

  get lessee(): string {
    return this.leases.lessee
  }

  async declare(options: QueueOptions, replace: boolean): Promise<void> {
    const frees = isDeclared(this.log.queues.get(options.name), options)
    const { x, o } = await this.turns.task(declareQueueOp(options, replace), { declares: true, frees })
    if (x === 'EXISTS') throw alreadyExists('queue', JSON.parse(o as string) as QueueOptions, options)
  }

  async delete(name: string): Promise<void> {
    const op = { name: 'deleteQueue', args: [name] }
    const { x } = await this.turns.task(op, { declares: true, frees: true })
    if (x === 'GONE') throw noQueue(name)
  }

  async statuses(names: Iterable<string>): Promise<QueueStatus[]> {
    const mirrors = [...names].flatMap((name) => this.log.queues.get(name) ?? [])
    for (let at = 0; at < mirrors.length; at += LOOK_QUEUES) {
      const some = mirrors.slice(at, at + LOOK_QUEUES).map(({ number }) => number)
      const looks = await this.reads.orSeen<readonly QueueLook[]>(
        () => this.look('queues', some),
        () => [],
      )
      this.looked(looks)
    }
    const now = this.clock.now()
    return mirrors.map((mirror) => mirror.status(this.waiting.waiting.inQueue(mirror.options.name), now))
  }

  // Leases

  async lease(name: string, count: number, bytes: number): Promise<Delivery[]> {
    const mirror = this.log.queues.get(name)
    return mirror ? this.leases.lease(mirror, count, bytes) : []
  }

  wireOf(delivery: DeliveryId): Promise<string | Uint8Array | undefined> {
    return this.leases.wireOf(delivery)
  }

  settle(settlement: Settlement): void {
    this.leases.settle(settlement, this.log.queues.get(settlement.queue))
  }

  giveBack(deliveries: readonly DeliveryId[]): void {
    this.leases.giveBack(deliveries)
  }

  // Operators

  async purge(name: string): Promise<number> {
    const mirror = this.mirrorOf(name)
    let purged = 0
    let to: number | '' = ''
    try {
      for (;;) {
        const result = await this.task(mirror, { name: 'qpurge', args: [mirror.number, to], micros: LONG_MICROS })
        const [count, end] = valuesOf<[number, number]>(result)
        purged += count
        to = end
        if (count === 0) return purged
      }
    } catch (error) {
      // What was to leave is there.
      if (mirror.startable > 0) this.log.events.ready(name)
      throw error
    }
  }

  async unpark(name: string, key: string): Promise<void> {
    const mirror = this.mirrorOf(name)
    const { x } = await this.task(mirror, { name: 'qunpark', args: [mirror.number, key] })
    if (x !== 'NOGROUP') return
    const fault = `No parked group has the key ${quoted(key)}. queues.show lists the parked groups.`
    throw new FanfareError('no_parked_group', fault)
  }

  async deadLetters(name: string, filter: DeadLetterFilter, from: number, limit: number): Promise<DeadLetter[]> {
    return this.reads.orUnreachable(async () => this.letters.page(await this.fresh(name), filter, from, limit))
  }

  async deadLetterNumbers(name: string, filter: DeadLetterFilter, range: LetterRange): Promise<LetterNumbers> {
    return this.reads.orUnreachable(async () => this.letters.numbers(await this.fresh(name), filter, range))
  }

  async redrive(name: string, numbers: readonly number[], to: string): Promise<number> {
    return this.letters.redrive(this.mirrorOf(name), numbers, this.mirrorOf(to), () => fullQueue(to))
  }

  async purgeDeadLetters(name: string, numbers: readonly number[]): Promise<number> {
    return this.letters.purge(this.mirrorOf(name), numbers)
  }

  // Time, and other nodes

  /** Does what is due: delays, expiry, a look at what others have changed. */
  tick(): void {
    for (const mirror of this.due.due(this.clock.now(), LOOK_QUEUES)) if (!this.busy.has(mirror)) this.passTime(mirror)
    this.leases.reconcile()
    if (performance.now() - this.lookedAt < LOOK_MS || this.isLooking) return
    this.lookedAt = performance.now()
    // A link that is lost is found again.
    void this.lookAtChanged().catch(() => {})
  }

  /** Does what is due in a queue, in as many turns as that takes. */
  private passTime(mirror: QueueMirror): void {
    const done = () => this.busy.delete(mirror)
    this.busy.add(mirror)
    this.turns.task(timeOp(mirror), { frees: true }).then(() => {
      const isThere = this.log.queueOf(mirror.number) === mirror
      if (isThere && mirror.nextTime <= this.clock.now()) this.passTime(mirror)
      else done()
    }, done)
  }

  /** A link was lost for a while. */
  lookSoon(): void {
    this.lookedAt = Number.NEGATIVE_INFINITY
  }

  /** Looks at all that has changed since the last look. */
  async lookAtChanged(): Promise<void> {
    this.isLooking = true
    try {
      for (;;) {
        const looks = await this.look('changed', [this.stamp])
        this.looked(looks)
        for (const [figures] of looks) this.stamp = Math.max(this.stamp, figures[1] as number)
        if (looks.length < LOOK_QUEUES) return
      }
    } finally {
      this.isLooking = false
    }
  }

  /** Something has come that this node stood in line for. */
  called({ w, q }: Call): void {
    const mirror = this.log.queueOf(q)
    if (!mirror) return
    const { name } = mirror.options
    if (w === 'room') return this.maySend(mirror)
    // If no consumer here wants it any more, the next waiting node is called.
    this.log.events.ready(name)
    setImmediate(() => {
      if (!this.leases.isAsking(mirror)) void this.task(mirror, timeOp(mirror)).catch(() => {})
    })
  }

  /** This node is the first in line for room in the queue: if it has nothing to publish there, the next one is. */
  private maySend({ number, options: { name } }: QueueMirror): void {
    if (this.waiting.hasNext(name)) return this.turns.roomIn(name)
    this.turns.pass(number)
  }

  /** A node is gone, and left these leases. */
  reap(lessee: string): Promise<void> {
    return this.leases.reap(lessee, (number) => this.log.queueOf(number))
  }

  /** The space is a different one: nothing is on lease, and stamps start again. */
  renewed(): void {
    this.stamp = 0
    this.leases.fenced()
  }

  /** This node was taken for gone. */
  fenced(): void {
    this.leases.fenced()
  }

  close(): Promise<void> {
    return this.leases.close()
  }

  private changed(all: readonly Figures[]): void {
    const now = this.clock.now()
    for (const figures of all) {
      const mirror = this.log.queueOf(numberIn(figures))
      if (!mirror) continue
      const holdsLess = this.take(mirror, figures, now)
      const { name } = mirror.options
      if (mirror.startable > 0) this.log.events.ready(name)
      if (holdsLess) this.turns.roomIn(name)
    }
  }

  private take(mirror: QueueMirror, figures: Figures, now: number): boolean {
    const holdsLess = mirror.take(figures, now)
    this.due.set(mirror, mirror.nextTime)
    return holdsLess
  }

  private looked(looks: readonly QueueLook[]): void {
    const now = this.clock.now()
    for (const [figures, oldestAt, oldestReadyAt, parked] of looks) {
      const mirror = this.log.queueOf(numberIn(figures))
      if (!mirror) continue
      this.take(mirror, figures, now)
      mirror.takeDetails({
        oldestAt: oldestAt === false ? undefined : oldestAt,
        oldestReadyAt: oldestReadyAt === false ? undefined : oldestReadyAt,
        parked: listOf<string>(parked),
      })
      const { name } = mirror.options
      if (mirror.isHungry && mirror.startable > 0) this.log.events.ready(name)
      if (mirror.hasRoom && this.waiting.waiting.inQueue(name).count > 0) this.turns.roomIn(name)
    }
  }

  private async look(read: 'queues' | 'changed', args: readonly number[]): Promise<readonly QueueLook[]> {
    return listOf<QueueLook>(JSON.parse(String(await this.reads.run(QUEUE_LOOK, read, ...args))))
  }

  private async fresh(name: string): Promise<QueueMirror> {
    const mirror = this.mirrorOf(name)
    this.looked(await this.look('queues', [mirror.number]))
    return mirror
  }

  private async task({ options }: QueueMirror, op: Op): Promise<OpResult> {
    const result = await this.turns.task(op, { frees: true })
    if (result.x === 'GONE') throw noQueue(options.name)
    return result
  }

  private mirrorOf(name: string): QueueMirror {
    const mirror = this.log.queues.get(name)
    if (!mirror) throw noQueue(name)
    return mirror
  }

  private forget(mirror: QueueMirror): void {
    this.due.delete(mirror)
    this.leases.forget(mirror)
  }
}

function noQueue(name: string): FanfareError {
  return new FanfareError('no_queue', `There is no queue ${quoted(name)}. Declare it, or correct its name.`)
}

/** What time does to a queue. */
function timeOp({ number }: QueueMirror): Op {
  return { name: 'qtime', args: [number], micros: LONG_MICROS }
}
