import { FanfareError } from '../../../shared/errors.ts'
import type { Draft } from '../broker.ts'
import { type WaitingPublish, WaitingPublishes } from '../waiting.ts'
import type { CommitLog } from './commit-log.ts'

/**
 * The publishes of this node that wait for room, by the rule of `broker.ts`. Whether there is room only Redis knows: a draft that has its turn is sent, and
 * waits on if there was none.
 */
export class WaitingDrafts {
  readonly waiting: WaitingPublishes
  private readonly log: CommitLog
  private readonly bytesOf: (draft: Draft) => number
  /** Those that are sent now. */
  private readonly asking = new Set<WaitingPublish>()
  /** Those that wait since this turn, and do not count towards the limit yet. */
  private readonly fresh = new Set<WaitingPublish>()
  /** Whether a publish has to wait after others for a queue. */
  private readonly blocks = (name: string) => this.log.queues.get(name)?.options.overflow === 'block'

  constructor(log: CommitLog, limitBytes: number, bytesOf: (draft: Draft) => number) {
    this.log = log
    this.waiting = new WaitingPublishes(limitBytes)
    this.bytesOf = bytesOf
  }

  /**
   * The next ones in line, in the order of arrival, and after each of them those for which there is room as well, as far as this node knows. Some, and none that
   * does not fit into what is left of the places.
   */
  asked(most: number, places: number): WaitingPublish[] {
    const candidates = [...this.waiting.takeAsked()].filter((waiting) => this.isNext(waiting))
    candidates.sort((a, b) => a.arrival - b.arrival)
    const asked: WaitingPublish[] = []
    const room = new Room(this.log)
    let left = places
    for (let waiting = candidates.shift(); waiting; waiting = candidates.shift()) {
      const needs = placesOf(waiting.draft)
      if (asked.length > 0 && (asked.length >= most || needs > left)) {
        for (const later of [waiting, ...candidates]) this.waiting.ask(later)
        break
      }
      asked.push(waiting)
      left -= needs
      this.asking.add(waiting)
      room.take(waiting)
      for (const next of followers(waiting)) {
        if (candidates.includes(next) || !this.isNext(next) || !room.has(next)) continue
        const at = candidates.findIndex(({ arrival }) => arrival > next.arrival)
        candidates.splice(at < 0 ? candidates.length : at, 0, next)
      }
    }
    return asked
  }

  /** The numbers of the queues that some drafts waited for, and that nothing waits for any more. */
  queuesLeft(drafts: readonly Draft[]): number[] {
    const names = new Set(drafts.flatMap(({ route }) => route.queues.filter(this.blocks)))
    const left = [...names].filter((name) => this.waiting.inQueue(name).count === 0)
    return left.flatMap((name) => this.log.queues.get(name)?.number ?? [])
  }

  /** Whether a publish waits for the queue, and for nothing else that this node knows of. */
  hasNext(queue: string): boolean {
    const first = this.waiting.firstFor(queue)
    return first !== undefined && this.isNext(first)
  }

  /** Whether all that it must not overtake is sent now. */
  private isNext(waiting: WaitingPublish): boolean {
    return !this.asking.has(waiting) && this.waiting.isFirst(waiting, this.blocks, this.asking)
  }

  /** Why a draft that waited can no longer be published. */
  gone({ route: { streams, queues } }: Draft): FanfareError | undefined {
    if (streams.length > 0 || queues.some((name) => this.log.queues.has(name))) return undefined
    return new FanfareError('no_queue', `The queue "${queues[0]}" was deleted.`)
  }

  /** Before a draft is sent: it goes (undefined), waits, or is refused. */
  admit(draft: Draft, arrival: number): 'waits' | FanfareError | undefined {
    if (this.waiting.isCutShort(draft, arrival)) return new FanfareError('connection_lost')
    return this.isBehind(draft, arrival) ? this.wait(draft, arrival) : undefined
  }

  /** Before an ack that publishes is sent: gives why it cannot be. */
  admitAll(drafts: readonly Draft[], arrival: number): FanfareError | undefined {
    if (drafts.some((draft) => this.waiting.isCutShort(draft, arrival))) return new FanfareError('connection_lost')
    const behind = drafts.find((draft) => this.isBehind(draft, arrival))
    return behind && behindOthers(behind)
  }

  /** Those of its turn that came later may wait already, and must not hold it up. */
  isBehind(draft: Draft, arrival: number): boolean {
    return this.waiting.isBehind(draft, this.blocks, arrival)
  }

  /** Has a draft wait, if its owner is there and the limit allows it. */
  wait(draft: Draft, arrival: number): 'waits' | FanfareError {
    const { waiting } = this
    const bytes = this.bytesOf(draft)
    const tooSmall = draft.route.queues.find((name) => bytes > (this.log.queues.get(name)?.options.maxBytes ?? bytes))
    if (tooSmall !== undefined) return fullQueue(tooSmall)
    if (!waiting.mayWait(draft, arrival)) return new FanfareError('connection_lost')
    this.fresh.add(waiting.add(draft, bytes, arrival))
    return 'waits'
  }

  /**
   * The publishes of a turn that may not wait, because all together exceed the limit: the later ones, whichever turned out first to have to wait.
   */
  overLimit(): Draft[] {
    const { limitBytes } = this.waiting
    const over: Draft[] = []
    const fresh = [...this.fresh].sort((a, b) => a.arrival - b.arrival)
    this.fresh.clear()
    let bytes = fresh.reduce((sum, each) => sum - each.bytes, this.waiting.bytes)
    for (const each of fresh) {
      // It waited for one that may not, and may not have to wait itself: the next turn tells.
      if (this.fresh.size > 0 || (over.length > 0 && this.isNext(each))) this.fresh.add(each)
      else if (limitBytes > 0 && bytes + each.bytes > limitBytes) {
        this.waiting.remove(each)
        over.push(each.draft)
      } else bytes += each.bytes
    }
    return over
  }

  /** After others of its turn have to wait: whether one that was sent has to wait for them; or why it cannot, if its owner has gone. */
  standing(waiting: WaitingPublish): 'waits' | FanfareError | undefined {
    const { draft, arrival } = waiting
    if (!this.asking.has(waiting)) {
      return this.waiting.isCutShort(draft, arrival) ? new FanfareError('connection_lost') : undefined
    }
    return this.waiting.isFirst(waiting, this.blocks, this.asking) ? undefined : this.waitsOn(waiting)
  }

  /** One that was sent waits on; gives why not, if its owner has gone. */
  waitsOn(waiting: WaitingPublish): 'waits' | FanfareError {
    return this.asking.delete(waiting) ? 'waits' : new FanfareError('connection_lost')
  }

  /** One that was sent has another end. */
  ended(waiting: WaitingPublish): void {
    if (!this.asking.delete(waiting)) return
    this.fresh.delete(waiting)
    this.waiting.remove(waiting)
  }

  /** An owner has gone. Gives what is refused for that; what is sent already ends as it may. */
  withdraw(owner: object): Draft[] {
    const sent = new Set([...this.asking].filter(({ draft }) => draft.owner === owner))
    for (const waiting of sent) this.asking.delete(waiting)
    for (const waiting of this.fresh) if (waiting.draft.owner === owner) this.fresh.delete(waiting)
    const drafts = this.waiting.withdraw(owner)
    return drafts.filter((draft) => ![...sent].some((waiting) => waiting.draft === draft))
  }
}

/** The room that this node knows of, less what is sent now. */
class Room {
  private readonly log: CommitLog
  private readonly taken = new Map<string, { messages: number; bytes: number }>()

  constructor(log: CommitLog) {
    this.log = log
  }

  has({ draft: { route }, bytes }: WaitingPublish): boolean {
    return route.queues.every((name) => {
      const queue = this.log.queues.get(name)
      const { messages, bytes: takenBytes } = this.taken.get(name) ?? NOTHING
      return !queue || queue.fits(messages + 1, takenBytes + bytes)
    })
  }

  take({ draft: { route }, bytes }: WaitingPublish): void {
    for (const name of route.queues) {
      const { messages, bytes: takenBytes } = this.taken.get(name) ?? NOTHING
      this.taken.set(name, { messages: messages + 1, bytes: takenBytes + bytes })
    }
  }
}

const NOTHING = { messages: 0, bytes: 0 }

/** Those that come right after it in its lines. */
function followers({ places }: WaitingPublish): WaitingPublish[] {
  return places.flatMap(({ behind }) => (behind ? [behind.waiting] : []))
}

/** How many streams and queues a draft goes to. */
export function placesOf({ route: { streams, queues } }: Draft): number {
  return streams.length + queues.length
}

function behindOthers({ topic }: Draft): FanfareError {
  const fault = `Earlier publishes on "${topic}" wait for capacity, and this one must not overtake them. Ack again later.`
  return new FanfareError('queue_limit', fault)
}

export function fullQueue(name: string): FanfareError {
  return new FanfareError('queue_limit', `Queue "${name}" is full. Publish later, add consumers, or raise its limits.`)
}
