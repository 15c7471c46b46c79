import type { QueueOptions, QueueStatus } from '../../../shared/queues.ts'
import type { QueueState } from '../broker.ts'
import { LEASE_MICROS } from './costs.ts'

/** The figures of a queue as scripts give them: `q.figures` in `lua/queues.ts`. */
export type Figures = readonly number[]

/** Places in `Figures`. */
const AT = {
  number: 0,
  stamp: 1,
  depth: 2,
  inFlight: 3,
  bytes: 4,
  ready: 5,
  startable: 6,
  delayed: 7,
  backlog: 8,
  deadLetters: 9,
  parked: 10,
  published: 11,
  acked: 12,
  redelivered: 13,
  dropped: 14,
  lettersDropped: 15,
  due: 16,
  soon: 17,
  nextLetter: 18,
} as const

const FIGURES = Object.keys(AT).length

/** Times and groups of a queue that are looked up only once in a while. */
export interface QueueDetails {
  /** When the oldest that waits was published. */
  readonly oldestAt: number | undefined
  readonly oldestReadyAt: number | undefined
  readonly parked: readonly string[]
}

const NO_DETAILS: QueueDetails = { oldestAt: undefined, oldestReadyAt: undefined, parked: [] }

export function numberIn(figures: Figures): number {
  return figures[AT.number] as number
}

/**
 * A queue as this hub has seen it last: after each call of its own that touches the queue, and once a second where others have changed
 * it.
 */
export class QueueMirror implements QueueState {
  readonly number: number
  options: QueueOptions
  /** When time changes something in it, by the hub's clock; Infinity if nothing is delayed and nothing expires. */
  nextTime = Number.POSITIVE_INFINITY
  /** Consumers of this hub would take more than there was, for all that is known. */
  isHungry = true
  /** About what Redis needed for each message of the last lease, in microseconds. */
  leaseMicros = LEASE_MICROS.packed
  private figures: Figures = new Array<number>(FIGURES).fill(0)
  private details = NO_DETAILS
  /** The totals that there were before this hub started. */
  private before: Figures | undefined

  /** `isNew`: all that there will be of it has come since this hub started. */
  constructor(number: number, options: QueueOptions, isNew: boolean) {
    this.number = number
    this.options = options
    this.before = isNew ? this.figures : undefined
  }

  /** Takes what a call or a look has given; it may have been overtaken. Tells whether the queue holds less than before. */
  take(figures: Figures, now: number): boolean {
    if ((figures[AT.stamp] as number) < this.at('stamp')) return false
    const [messages, bytes] = [this.depth + this.inFlight, this.bytes]
    this.before ??= figures
    this.figures = figures
    const soon = this.at('soon')
    // A figure stands for "never", for JSON has no Infinity.
    this.nextTime = soon >= 1e15 ? Number.POSITIVE_INFINITY : now + soon
    return this.depth + this.inFlight < messages || this.bytes < bytes
  }

  takeDetails(details: QueueDetails): void {
    this.details = details
  }

  get depth(): number {
    return this.at('depth')
  }

  get inFlight(): number {
    return this.at('inFlight')
  }

  get ready(): number {
    return this.at('ready')
  }

  get startable(): number {
    return this.at('startable')
  }

  get backlog(): number {
    return this.at('backlog')
  }

  get oldestReadyAt(): number | undefined {
    return this.ready > 0 ? this.details.oldestReadyAt : undefined
  }

  get bytes(): number {
    return this.at('bytes')
  }

  get deadLetters(): number {
    return this.at('deadLetters')
  }

  /** The number that the next dead letter gets. */
  get nextLetter(): number {
    return this.at('nextLetter')
  }

  get parkedCount(): number {
    return this.at('parked')
  }

  get publishedTotal(): number {
    return this.since('published')
  }

  get ackedTotal(): number {
    return this.since('acked')
  }

  get dueTotal(): number {
    return this.since('due')
  }

  /** Whether it would take more, as far as this hub knows. */
  get hasRoom(): boolean {
    return this.fits(1, 1)
  }

  fits(messages: number, bytes: number): boolean {
    const { maxMessages, maxBytes } = this.options
    return this.depth + this.inFlight + messages <= maxMessages && this.bytes + bytes <= maxBytes
  }

  /** `waiting`: publishes of this hub that wait for room in it. */
  status(waiting: { readonly count: number; readonly bytes: number }, now: number): QueueStatus {
    const { oldestAt, oldestReadyAt, parked } = this.details
    return {
      ...this.options,
      depth: this.depth,
      ready: this.ready,
      delayed: this.at('delayed'),
      inFlight: this.inFlight,
      bytes: this.bytes,
      waitingPublishes: waiting.count,
      waitingPublishBytes: waiting.bytes,
      oldestAgeMs: Math.max(0, now - (oldestAt ?? now)),
      readyAgeMs: Math.max(0, now - (oldestReadyAt ?? now)),
      publishedTotal: this.publishedTotal,
      ackedTotal: this.ackedTotal,
      redeliveredTotal: this.since('redelivered'),
      droppedTotal: this.since('dropped'),
      deadLetters: this.deadLetters,
      deadLettersDroppedTotal: this.since('lettersDropped'),
      parked,
      parkedMore: Math.max(0, this.parkedCount - parked.length),
    }
  }

  private at(name: keyof typeof AT): number {
    return this.figures[AT[name]] as number
  }

  private since(name: keyof typeof AT): number {
    return Math.max(0, this.at(name) - (this.before?.[AT[name]] ?? 0))
  }
}
