import type { QueueDeclaration } from '../shared/declarations.ts'
import type { DeadLetter, DeadLetterFilter, QueueInfo, QueueSort, QueuesFound } from '../shared/queues.ts'
import type { SearchWithHistory } from '../shared/sys.ts'
import { ANY, COUNT, checkOptions, checkSameName, NUMBER, type Rules } from './options.ts'
import { allPages } from './pages.ts'

const LIST_RULES: Rules<{ readonly from?: number | undefined; readonly limit?: number | undefined }> = {
  from: NUMBER,
  limit: COUNT,
}
const REDRIVE_RULES: Rules<{ readonly to?: string | undefined; readonly perSecond?: number | undefined }> = {
  to: ANY,
  perSecond: ANY,
}

type Call = (method: string, params?: unknown, untilSent?: boolean) => Promise<unknown>

/** Administration of queues. All methods reject with `no_queue` if no queue has that name. */
export class QueueAdmin {
  /** Messages that no consumer could handle. */
  readonly deadLetters: DeadLetterAdmin
  readonly #call: Call

  /** @internal */
  constructor(call: Call) {
    this.#call = call
    this.deadLetters = new DeadLetterAdmin(call)
  }

  /** All queues that the client may see, in the order of their declaration. */
  list(): Promise<QueueInfo[]> {
    return allPages((from) => this.#call('queues.list', { from }))
  }

  /**
   * Searches all queues that the client may see, and returns a part of those that match: queues with problems first, unless
   * `sort` is given.
   *
   * @example
   * ```
   * const { matching, queues } = await client.admin.queues.find({ filter: 'mail', sort: 'ready', limit: 20 })
   * ```
   */
  find(search: SearchWithHistory<QueueSort> = {}): Promise<QueuesFound> {
    return this.#call('queues.find', search) as Promise<QueuesFound>
  }

  /** One queue. */
  show(name: string): Promise<QueueInfo> {
    return this.#call('queues.show', { name }) as Promise<QueueInfo>
  }

  /** Declares a queue. Does nothing if it exists with the same options. Rejects with `queue_exists` if it has different options, and with `bad_params`. */
  declare(declaration: QueueDeclaration): Promise<QueueInfo> {
    return this.#call('queues.declare', declaration) as Promise<QueueInfo>
  }

  /**
   * Changes options of a queue that exists; options that are not given stay as they are, and so do its messages. New deadlines and attempts
   * count for deliveries from now on. Rejects with `no_queue`, `bad_params`; throws `bad_option` for another name.
   *
   * @example
   * ```
   * await client.admin.queues.update('invoices', { maxAttempts: 10, backoff: { cap: '10m' } })
   * ```
   */
  update(name: string, changes: Omit<Partial<QueueDeclaration>, 'name'>): Promise<QueueInfo> {
    checkSameName('queues.update', name, changes)
    return this.#call('queues.update', { ...changes, name }) as Promise<QueueInfo>
  }

  /** Deletes a queue with its messages and dead letters. Its consumers end with `no_queue`. */
  async delete(name: string): Promise<void> {
    await this.#call('queues.delete', { name })
  }

  /** Deletes the messages that wait, but not those on lease. Resolves with their number. */
  purge(name: string): Promise<number> {
    return count(this.#call('queues.purge', { name }))
  }

  /** Resumes a parked group. Rejects with `no_parked_group`. */
  async unpark(name: string, key: string): Promise<void> {
    await this.#call('queues.unpark', { name, key })
  }
}

/** Administration of the dead letters of a queue: those that the filter matches, or all without one. */
export class DeadLetterAdmin {
  readonly #call: Call

  /** @internal */
  constructor(call: Call) {
    this.#call = call
  }

  /**
   * A page of dead letters, the oldest first, from a letter's number on: 100 by default, 1,000 at most. The hub answers with about
   * 1 MiB at a time; this method asks until it has the number that was asked for. The next page begins after the number of the last letter.
   */
  async list(
    name: string,
    filter: DeadLetterFilter = {},
    options: { readonly from?: number | undefined; readonly limit?: number | undefined } = {},
  ): Promise<DeadLetter[]> {
    checkOptions('deadLetters.list', options, LIST_RULES)
    const { from = 0, limit = 100 } = options
    const letters: DeadLetter[] = []
    for (let next = from; ; ) {
      const params = { name, filter, from: next, limit: limit - letters.length }
      const page = (await this.#call('deadLetters.list', params)) as DeadLetter[]
      letters.push(...page)
      const last = page.at(-1)
      if (!last || letters.length >= limit) return letters
      next = last.letter + 1
    }
  }

  /**
   * Counts the dead letters that exist now.
   *
   * @example
   * ```
   * const rejected = await client.admin.queues.deadLetters.count('invoices', { reason: 'rejected' })
   * ```
   */
  count(name: string, filter: DeadLetterFilter = {}): Promise<number> {
    return count(this.#call('deadLetters.count', { name, filter }))
  }

  /**
   * Moves dead letters back into the queue, or into another (`to`), as messages that no consumer has tried: after all others, with
   * priority 4, without expiry. `perSecond` limits the rate. The dead letters that exist now are moved in batches. Resolves with their number
   * once all have been moved. Rejects with `queue_limit` or `storage_full` at the first batch without room:
   * those that were moved before stay moved, and the error message reports how many were moved and how many are left.
   */
  async redrive(
    name: string,
    filter: DeadLetterFilter = {},
    options: { readonly to?: string | undefined; readonly perSecond?: number | undefined } = {},
  ): Promise<number> {
    checkOptions('deadLetters.redrive', options, REDRIVE_RULES)
    // At a rate it may take any time, as long as the connection is open.
    return count(this.#call('deadLetters.redrive', { name, filter, ...options }, true))
  }

  /** Deletes dead letters. Resolves with their number. */
  purge(name: string, filter: DeadLetterFilter = {}): Promise<number> {
    return count(this.#call('deadLetters.purge', { name, filter }))
  }
}

async function count(result: Promise<unknown>): Promise<number> {
  return ((await result) as { count: number }).count
}
