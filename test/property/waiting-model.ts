/** A publish of the model. */
export interface Held {
  readonly n: number
  readonly publisher: object
  readonly topic: string
  readonly queues: readonly string[]
  readonly bytes: number
}

export interface ModelQueue {
  maxMessages: number
  readonly maxBytes: number
  readonly messages: Held[]
}

/** Queues that block, and what waits for them: one list, gone through from its start each time. */
export class WaitingModel {
  readonly queues = new Map<string, ModelQueue>()
  waiting: Held[] = []
  /** Those that a stream keeps, in its order. */
  readonly kept: Held[] = []
  readonly outcome = new Map<number, string>()
  /** Publishers with something withdrawn. */
  private readonly cutShort = new Set<object>()
  private readonly limitBytes: number

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes
  }

  get waitingBytes(): number {
    return sum(this.waiting)
  }

  /** `gone`: the publisher will not be there any more when these are looked at. */
  publish(all: readonly Held[], gone: boolean): void {
    for (const each of all) {
      this.waiting.push(each)
      if (this.cutShort.has(each.publisher)) this.answer(each, 'connection_lost')
      else this.proceed()
      if (!this.waiting.includes(each)) continue
      if (gone) {
        this.cutShort.add(each.publisher)
        this.answer(each, 'connection_lost')
      } else if (this.limitBytes > 0 && this.waitingBytes > this.limitBytes) this.answer(each, 'waiting_limit')
    }
  }

  leave(publisher: object): void {
    for (const each of this.waiting.filter((held) => held.publisher === publisher)) {
      this.cutShort.add(publisher)
      this.answer(each, 'connection_lost')
    }
    this.proceed()
  }

  /** Takes in what need not wait any longer. */
  proceed(): void {
    const queues = new Set<string>()
    const orders = new Map<object, Set<string>>()
    for (const each of [...this.waiting]) {
      const { publisher, topic } = each
      const behind = each.queues.some((name) => queues.has(name)) || orders.get(publisher)?.has(topic)
      if (!behind && each.queues.every((name) => this.hasRoom(name, each))) {
        this.answer(each, 'kept')
        this.kept.push(each)
        for (const name of each.queues) this.queue(name).messages.push(each)
        continue
      }
      for (const name of each.queues) queues.add(name)
      orders.set(publisher, (orders.get(publisher) ?? new Set()).add(topic))
    }
  }

  queue(name: string): ModelQueue {
    return this.queues.get(name) as ModelQueue
  }

  private hasRoom(name: string, { bytes }: Held): boolean {
    const { messages, maxMessages, maxBytes } = this.queue(name)
    return messages.length < maxMessages && sum(messages) + bytes <= maxBytes
  }

  private answer(each: Held, outcome: string): void {
    this.outcome.set(each.n, outcome)
    this.waiting = this.waiting.filter((held) => held !== each)
  }
}

function sum(all: readonly Held[]): number {
  return all.reduce((bytes, each) => bytes + each.bytes, 0)
}
