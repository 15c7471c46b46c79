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
  /** Whether a publish has to wait after others for a queue. */
  private readonly blocks = (name: string) => this.log.queues.get(name)?.options.overflow === 'block'

  constructor(log: CommitLog, limitBytes: number, bytesOf: (draft: Draft) => number) {
    this.log = log
    this.waiting = new WaitingPublishes(limitBytes)
    this.bytesOf = bytesOf
  }

  /** The next ones in line: some, and none that does not fit into what is left of the places. */
  asked(most: number, places: number): WaitingPublish[] {
    const asked: WaitingPublish[] = []
    const later: WaitingPublish[] = []
    let left = places
    for (const waiting of this.waiting.takeAsked()) {
      if (!this.waiting.isFirst(waiting, this.blocks)) continue
      const needs = placesOf(waiting.draft)
      if (asked.length === 0 || (asked.length < most && needs <= left)) {
        asked.push(waiting)
        left -= needs
      } else later.push(waiting)
    }
    for (const waiting of later) this.waiting.ask(waiting)
    for (const waiting of asked) this.asking.add(waiting)
    return asked
  }

  /** Why a draft that waited can no longer be published. */
  gone({ route: { streams, queues } }: Draft): FanfareError | undefined {
    if (streams.length > 0 || queues.some((name) => this.log.queues.has(name))) return undefined
    return new FanfareError('no_queue', `The queue "${queues[0]}" was deleted.`)
  }

  /** Before a draft is sent: it goes (undefined), waits, or is refused. */
  admit(draft: Draft, arrival: number): 'waits' | FanfareError | undefined {
    if (this.waiting.isCutShort(draft)) return new FanfareError('connection_lost')
    return this.isBehind(draft, arrival) ? this.wait(draft, arrival) : undefined
  }

  /** Before an ack that publishes is sent: gives why it cannot be. */
  admitAll(drafts: readonly Draft[], arrival: number): FanfareError | undefined {
    if (drafts.some((draft) => this.waiting.isCutShort(draft))) return new FanfareError('connection_lost')
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
    if (!waiting.mayWait(draft)) return new FanfareError('connection_lost')
    if (waiting.limitBytes > 0 && waiting.bytes + bytes > waiting.limitBytes) return new FanfareError('waiting_limit')
    waiting.add(draft, bytes, arrival)
    return 'waits'
  }

  /** One that was sent waits on; gives why not, if its owner has gone. */
  waitsOn(waiting: WaitingPublish): 'waits' | FanfareError {
    return this.asking.delete(waiting) ? 'waits' : new FanfareError('connection_lost')
  }

  /** One that was sent has another end. */
  ended(waiting: WaitingPublish): void {
    if (this.asking.delete(waiting)) this.waiting.remove(waiting)
  }

  /** An owner has gone. Gives what is refused for that; what is sent already ends as it may. */
  withdraw(owner: object): Draft[] {
    const sent = new Set([...this.asking].filter(({ draft }) => draft.owner === owner))
    for (const waiting of sent) this.asking.delete(waiting)
    const drafts = this.waiting.withdraw(owner)
    return drafts.filter((draft) => ![...sent].some((waiting) => waiting.draft === draft))
  }
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
