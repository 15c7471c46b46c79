import type { Draft } from './broker.ts'

/** A waiting publish and its places in lines. */
export interface WaitingPublish {
  readonly draft: Draft
  /** The bytes that it counts towards the limit. */
  readonly bytes: number
  /** Grows from one publish to the next. */
  readonly arrival: number
  readonly places: readonly PlaceInLine[]
}

interface PlaceInLine {
  readonly line: WaitingLine
  readonly waiting: WaitingPublish
  before: PlaceInLine | undefined
  behind: PlaceInLine | undefined
}

/** Publishes in the order of arrival. A linked list, because any of them may leave, and there may be 100,000 of them. */
class WaitingLine {
  count = 0
  bytes = 0
  first: PlaceInLine | undefined = undefined
  /** The queue that the line belongs to; undefined for the line of an owner and topic. */
  readonly queue: string | undefined
  private last: PlaceInLine | undefined = undefined

  constructor(queue?: string) {
    this.queue = queue
  }

  /** Joins where its arrival puts it, which is nearly always the end. */
  join(waiting: WaitingPublish): PlaceInLine {
    let before = this.last
    while (before && before.waiting.arrival > waiting.arrival) before = before.before
    const behind = before ? before.behind : this.first
    const place: PlaceInLine = { line: this, waiting, before, behind }
    if (before) before.behind = place
    else this.first = place
    if (behind) behind.before = place
    else this.last = place
    this.count++
    this.bytes += waiting.bytes
    return place
  }

  /** Whether one of it arrived before that. */
  isBefore(arrival: number): boolean {
    return this.first !== undefined && this.first.waiting.arrival < arrival
  }

  leave({ waiting, before, behind }: PlaceInLine): void {
    if (before) before.behind = behind
    else this.first = behind
    if (behind) behind.before = before
    else this.last = before
    this.count--
    this.bytes -= waiting.bytes
  }

  *all(): Iterable<WaitingPublish> {
    for (let place = this.first; place; place = place.behind) yield place.waiting
  }
}

/**
 * The publishes that wait for space in queues, on the publisher's side: it knows neither queues nor a store, and serves any broker.
 * Each publish is in several lines: one for each of its queues, and one for its owner and topic. The broker reports where there may
 * be space (`roomIn`) and what has changed (`changed`), and checks those again that `takeAsked` returns; queues and publishes
 * without changes cost nothing.
 */
export class WaitingPublishes {
  count = 0
  bytes = 0
  /** Limit of `bytes`; 0 for no limit. */
  readonly limitBytes: number
  private arrivals = 0
  private readonly byQueue = new Map<string, WaitingLine>()
  private readonly byOwner = new Map<object, Map<string, WaitingLine>>()
  /** Publishes to check again. */
  private readonly asked = new Set<WaitingPublish>()
  private readonly gone = new WeakSet<object>()
  /** Owners that have disconnected while one of their publishes was not stored, and the arrival of the first such one. */
  private readonly cutShort = new WeakMap<object, number>()

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes
  }

  /** The place in the order of arrival of a publish that arrives now. */
  arrives(): number {
    return ++this.arrivals
  }

  add(draft: Draft, bytes: number, arrival = this.arrives()): WaitingPublish {
    const places: PlaceInLine[] = []
    const waiting: WaitingPublish = { draft, bytes, arrival, places }
    places.push(this.lineOf(draft).join(waiting))
    for (const name of draft.route.queues) places.push(this.lineTo(name).join(waiting))
    this.count++
    this.bytes += bytes
    return waiting
  }

  /** Removes one, and marks those that waited after it for another check. */
  remove(waiting: WaitingPublish): void {
    const { owner, topic } = waiting.draft
    for (const place of waiting.places) {
      const { line } = place
      line.leave(place)
      if (line.first) this.asked.add(line.first.waiting)
      else if (line.queue !== undefined) this.byQueue.delete(line.queue)
      else this.byOwner.get(owner)?.delete(topic)
    }
    if (this.byOwner.get(owner)?.size === 0) this.byOwner.delete(owner)
    this.asked.delete(waiting)
    this.count--
    this.bytes -= waiting.bytes
  }

  /** Whether an earlier publish of the same owner and topic waits, or one for a queue whose line counts. By default it arrives now. */
  isBehind(
    { owner, topic, route }: Draft,
    counts: (queue: string) => boolean,
    arrival = Number.POSITIVE_INFINITY,
  ): boolean {
    if (this.count === 0) return false
    if (this.byOwner.get(owner)?.get(topic)?.isBefore(arrival)) return true
    return route.queues.some((name) => this.byQueue.get(name)?.isBefore(arrival) && counts(name))
  }

  /** Whether a waiting publish is the first of its owner and topic, and of each queue whose line counts; some are as good as gone. */
  isFirst(
    { places }: WaitingPublish,
    counts: (queue: string) => boolean,
    leaving: Pick<ReadonlySet<WaitingPublish>, 'has'> = NONE,
  ): boolean {
    const isHeld = ({ line: { queue }, before }: PlaceInLine) =>
      before !== undefined && !leaving.has(before.waiting) && (queue === undefined || counts(queue))
    return !places.some(isHeld)
  }

  firstFor(queue: string): WaitingPublish | undefined {
    return this.byQueue.get(queue)?.first?.waiting
  }

  /** What waits for a queue, whether or not that queue is the full one. */
  inQueue(name: string): { readonly count: number; readonly bytes: number } {
    return this.byQueue.get(name) ?? NOTHING
  }

  // Publishes to check again

  get hasAsked(): boolean {
    return this.asked.size > 0
  }

  ask(waiting: WaitingPublish): void {
    this.asked.add(waiting)
  }

  /** The queue may have space again: its first publish is checked, and each further one after the one before it has left. */
  roomIn(queue: string): void {
    const first = this.byQueue.get(queue)?.first
    if (first) this.asked.add(first.waiting)
  }

  /** The options of the queue have changed, or it was deleted. */
  changed(queue: string): void {
    for (const waiting of this.byQueue.get(queue)?.all() ?? []) this.asked.add(waiting)
  }

  /** The publishes to check, including those that are added in the meantime. */
  *takeAsked(): Iterable<WaitingPublish> {
    for (const waiting of this.asked) {
      this.asked.delete(waiting)
      yield waiting
    }
  }

  // Owners that disconnect

  /** The owner has disconnected: removes and returns its waiting publishes. */
  withdraw(owner: object): Draft[] {
    this.gone.add(owner)
    const lines = [...(this.byOwner.get(owner)?.values() ?? [])]
    const withdrawn = lines.flatMap((line) => [...line.all()])
    for (const waiting of withdrawn) this.remove(waiting)
    for (const { arrival } of withdrawn) this.cut(owner, arrival)
    return withdrawn.map(({ draft }) => draft)
  }

  /** Whether the owner of a draft is still there to wait. By default it arrives now. */
  mayWait({ owner }: Draft, arrival = this.arrivals): boolean {
    if (!this.gone.has(owner)) return true
    this.cut(owner, arrival)
    return false
  }

  /**
   * Whether an earlier publish of the same owner was withdrawn. Then this one is not stored either: if the withdrawn one is
   * published again on another connection, it would come after this one. By default it arrives now.
   */
  isCutShort({ owner }: Draft, arrival = Number.POSITIVE_INFINITY): boolean {
    return (this.cutShort.get(owner) ?? Number.POSITIVE_INFINITY) < arrival
  }

  private cut(owner: object, arrival: number): void {
    this.cutShort.set(owner, Math.min(arrival, this.cutShort.get(owner) ?? arrival))
  }

  private lineTo(queue: string): WaitingLine {
    let line = this.byQueue.get(queue)
    if (!line) {
      line = new WaitingLine(queue)
      this.byQueue.set(queue, line)
    }
    return line
  }

  private lineOf({ owner, topic }: Draft): WaitingLine {
    let topics = this.byOwner.get(owner)
    if (!topics) {
      topics = new Map()
      this.byOwner.set(owner, topics)
    }
    let line = topics.get(topic)
    if (!line) {
      line = new WaitingLine()
      topics.set(topic, line)
    }
    return line
  }
}

const NOTHING = { count: 0, bytes: 0 }
const NONE: ReadonlySet<WaitingPublish> = new Set()
