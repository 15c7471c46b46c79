import type { Draft } from './broker.ts'

/** A publish that waits, and its places in lines. */
export interface Waiting {
  readonly draft: Draft
  /** What it counts towards the limit. */
  readonly bytes: number
  readonly places: readonly Place[]
}

interface Place {
  readonly line: Line
  readonly waiting: Waiting
  before: Place | undefined
  behind: Place | undefined
}

/** Publishes in the order of their arrival. Linked, because any of them may leave, and there may be 100,000 of them. */
class Line {
  count = 0
  bytes = 0
  first: Place | undefined = undefined
  /** The queue whose line it is; undefined for the line of an owner and topic. */
  readonly queue: string | undefined
  private last: Place | undefined = undefined

  constructor(queue?: string) {
    this.queue = queue
  }

  join(waiting: Waiting): Place {
    const place: Place = { line: this, waiting, before: this.last, behind: undefined }
    if (this.last) this.last.behind = place
    else this.first = place
    this.last = place
    this.count++
    this.bytes += waiting.bytes
    return place
  }

  leave({ waiting, before, behind }: Place): void {
    if (before) before.behind = behind
    else this.first = behind
    if (behind) behind.before = before
    else this.last = before
    this.count--
    this.bytes -= waiting.bytes
  }

  *all(): Iterable<Waiting> {
    for (let place = this.first; place; place = place.behind) yield place.waiting
  }
}

/**
 * The publishes that wait for room in queues, on the publisher's side: it knows neither queues nor a store, and serves any
 * broker. Each stands in several lines: one for each of its queues, and one for its owner and topic. The broker reports
 * where there may be room (`roomIn`) and what has changed (`changed`), and asks those again that `takeAsked` gives;
 * nothing is done for queues and publishes to which nothing has happened.
 */
export class WaitingPublishes {
  count = 0
  bytes = 0
  /** Maximum of `bytes`; 0 for no limit. */
  readonly limitBytes: number
  private readonly byQueue = new Map<string, Line>()
  private readonly byOwner = new Map<object, Map<string, Line>>()
  /** Those to ask again. */
  private readonly asked = new Set<Waiting>()
  private readonly gone = new WeakSet<object>()
  /** Owners that have disconnected while a publish of theirs was not kept. */
  private readonly cutShort = new WeakSet<object>()

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes
  }

  add(draft: Draft, bytes: number): void {
    const places: Place[] = []
    const waiting: Waiting = { draft, bytes, places }
    places.push(this.lineOf(draft).join(waiting))
    for (const name of draft.route.queues) places.push(this.lineTo(name).join(waiting))
    this.count++
    this.bytes += bytes
  }

  /** Removes one, and checks again those that waited after it. */
  remove(waiting: Waiting): void {
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

  /** Whether an earlier publish of the same owner and topic waits, or one for a queue whose line counts. */
  isBehind({ owner, topic, route }: Draft, counts: (queue: string) => boolean): boolean {
    if (this.count === 0) return false
    if (this.byOwner.get(owner)?.has(topic)) return true
    return route.queues.some((name) => this.byQueue.has(name) && counts(name))
  }

  /** Whether a publish that waits is the first of its owner and topic, and of each queue whose line counts. */
  isFirst({ places }: Waiting, counts: (queue: string) => boolean): boolean {
    return places.every(({ line: { queue }, before }) => !before || (queue !== undefined && !counts(queue)))
  }

  /** What waits for a queue, whether or not the queue is the one without room. */
  inQueue(name: string): { readonly count: number; readonly bytes: number } {
    return this.byQueue.get(name) ?? NOTHING
  }

  // Those to ask again

  get hasAsked(): boolean {
    return this.asked.size > 0
  }

  ask(waiting: Waiting): void {
    this.asked.add(waiting)
  }

  /** The queue may have room again: its first is asked, and each that follows once the one before it has left. */
  roomIn(queue: string): void {
    const first = this.byQueue.get(queue)?.first
    if (first) this.asked.add(first.waiting)
  }

  /** The queue has other options, or was deleted. */
  changed(queue: string): void {
    for (const waiting of this.byQueue.get(queue)?.all() ?? []) this.asked.add(waiting)
  }

  /** Those to ask, also those that come to be asked meanwhile. */
  *takeAsked(): Iterable<Waiting> {
    for (const waiting of this.asked) {
      this.asked.delete(waiting)
      yield waiting
    }
  }

  // Owners that go

  /** The owner has gone: takes out what waits of it. */
  withdraw(owner: object): Draft[] {
    this.gone.add(owner)
    const lines = [...(this.byOwner.get(owner)?.values() ?? [])]
    const withdrawn = lines.flatMap((line) => [...line.all()])
    for (const waiting of withdrawn) this.remove(waiting)
    if (withdrawn.length > 0) this.cutShort.add(owner)
    return withdrawn.map(({ draft }) => draft)
  }

  /** Whether the owner of a draft is still there to wait. */
  mayWait({ owner }: Draft): boolean {
    if (!this.gone.has(owner)) return true
    this.cutShort.add(owner)
    return false
  }

  /**
   * Whether a publish of the same owner was withdrawn before. Then this one is not kept either: published again on
   * another connection, the one before would come after it.
   */
  isCutShort({ owner }: Draft): boolean {
    return this.cutShort.has(owner)
  }

  private lineTo(queue: string): Line {
    let line = this.byQueue.get(queue)
    if (!line) {
      line = new Line(queue)
      this.byQueue.set(queue, line)
    }
    return line
  }

  private lineOf({ owner, topic }: Draft): Line {
    let topics = this.byOwner.get(owner)
    if (!topics) {
      topics = new Map()
      this.byOwner.set(owner, topics)
    }
    let line = topics.get(topic)
    if (!line) {
      line = new Line()
      topics.set(topic, line)
    }
    return line
  }
}

const NOTHING = { count: 0, bytes: 0 }
