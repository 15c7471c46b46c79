/** What processes have noted, a line each. */
export interface Entry {
  readonly act: string
  readonly by: string
  readonly n?: number
  readonly id?: string
  readonly offset?: number
  readonly attempt?: number
  /** When it was noted, in milliseconds since 1970. */
  readonly at?: number
  readonly gap?: { readonly reason: string }
  /** Of a stream that keeps only the newest of each value: which it is. */
  readonly value?: string
}

/** The hub was started on a backup. What was acknowledged in between is only in the hub's old data. */
export interface Restore {
  /** Just before the backup began. */
  readonly from: number
  /** When the hub stood again. */
  readonly to: number
}

/** A message as it lies in a stream at the end. */
export interface Kept {
  readonly id: string
  readonly topic: string
  readonly key: string | undefined
  readonly n: number
}

export interface FinalState {
  readonly orders: readonly Kept[]
  readonly invoices: readonly Kept[]
  /** The newest of each value. */
  readonly state: readonly Kept[]
  readonly deadLetters: readonly { readonly id: string; readonly reason: string }[]
  readonly restores: readonly Restore[]
  /** How processes ended that no round had ended. */
  readonly crashes: readonly string[]
  /** What hubs still have, or report, once all is over. */
  readonly leftovers: readonly string[]
  /** Which reader has read the streams from the beginning, and to the end. */
  readonly reader: string
}

export interface Verdict {
  readonly asked: number
  readonly acknowledged: number
  readonly refused: number
  /** Attempts of consumers, and how many of them were repetitions. */
  readonly handled: number
  readonly redelivered: number
  /** Acknowledged orders that are not in the stream, or that have neither an invoice nor a dead letter. */
  readonly lost: readonly string[]
  /** Orders that are twice in the stream, or have two ends. */
  readonly doubled: readonly string[]
  /** Invoices, or orders in the stream, that are before one that was published earlier under the same key. */
  readonly reordered: readonly string[]
  /** Orders that the reader never saw, offsets that one saw out of order, and gaps that nothing explains. */
  readonly unread: readonly string[]
  readonly crashes: readonly string[]
  readonly leftovers: readonly string[]
}

/** What a verdict has against the hubs. */
export const FAILURES = ['lost', 'doubled', 'reordered', 'unread', 'crashes', 'leftovers'] as const

/** Judges by the histories and by what exists at the end, and not by the hub's own figures. `fresh`: what is counted of the history. */
export function judge(history: readonly Entry[], end: FinalState, fresh = history): Verdict {
  const { orders, invoices, deadLetters, restores, crashes, leftovers } = end
  const count = (act: string) => fresh.filter((entry) => entry.act === act).length
  const acknowledged = history
    .filter(({ act }) => act === 'acknowledged')
    .map(({ by, n, at = 0 }) => ({ id: `${by}.${n}`, at }))
  const restoredAway = (at: number) => restores.some(({ from, to }) => at >= from && at <= to)
  const inStream = new Set(orders.map(({ id }) => id))
  const ends = [...invoices.map(({ id }) => id.replace('invoice.', '')), ...deadLetters.map(({ id }) => id)]
  const ended = new Set(ends)
  const handled = fresh.filter(({ act }) => act === 'handled')
  return {
    asked: count('asked'),
    acknowledged: count('acknowledged'),
    refused: fresh.filter(({ act }) => act.startsWith('refused')).length,
    handled: handled.length,
    redelivered: handled.length - new Set(handled.map(({ id }) => id)).size,
    lost: [
      ...acknowledged
        .filter(({ id, at }) => (inStream.has(id) ? !ended.has(id) : !restoredAway(at)))
        .map(({ id }) => id),
      ...misjudged(deadLetters),
      ...outdated(history, end, restoredAway),
    ],
    doubled: [...repeated(orders.map(({ id }) => id)), ...repeated(ends)],
    reordered: [...outOfOrder(orders), ...outOfOrder(invoices)],
    unread: unread(history, end),
    crashes,
    leftovers,
  }
}

/** Dead letters of orders that could be handled. See `worker.js` and `publisher.js`. */
function misjudged(letters: FinalState['deadLetters']): string[] {
  const wrong = letters.filter(({ id, reason }) => {
    const n = Number(id.split('.').at(-1))
    return !(reason === 'attempts' ? n % 45 === 0 : reason === 'rejected' && n % 43 === 0)
  })
  return wrong.map(({ id, reason }) => `${id} is dead: ${reason}`)
}

/** Values that are older than one that was acknowledged. */
function outdated(history: readonly Entry[], { state }: FinalState, restoredAway: (at: number) => boolean): string[] {
  const newest = new Map(state.map(({ topic, key, n }) => [`${topic} ${key}`, n]))
  const stated = history.filter(({ act, at = 0 }) => act === 'stated' && !restoredAway(at))
  return stated
    .filter(({ by, n = 0 }) => (newest.get(`state.${by} ${n % 3}`) ?? 0) < n)
    .map(({ by, n }) => `value ${n} of ${by}`)
}

function repeated(ids: readonly string[]): string[] {
  const seen = new Set<string>()
  return ids.filter((id) => seen.size === seen.add(id).size)
}

function outOfOrder(kept: readonly Kept[]): string[] {
  const newest = new Map<string, number>()
  return kept.flatMap(({ id, key, n }) => {
    if (key === undefined) return []
    const before = newest.get(key) ?? 0
    newest.set(key, n)
    return n <= before ? [id] : []
  })
}

function unread(history: readonly Entry[], { orders, state, restores, reader }: FinalState): string[] {
  const read = history.filter(({ act }) => act === 'read')
  const seen = new Set(read.flatMap(({ by, id }) => (by === reader ? [id] : [])))
  const wrong = orders.filter(({ id }) => !seen.has(id)).map(({ id }) => `${id} was never read`)
  const values = new Map(read.flatMap(({ by, value, n }) => (by === `${reader} of values` ? [[value, n]] : [])))
  const stale = state.filter(({ topic, key, n }) => values.get(`${topic} ${key}`) !== n)
  wrong.push(...stale.map(({ topic, key, n }) => `value ${topic} ${key} was not read as ${n}`))
  const newest = new Map<string, number>()
  for (const entry of history) {
    const { act, by, offset = 0, gap, value } = entry
    if (act === 'gap') {
      // A log that was restored is another one, which a reader has to be told of.
      if (restores.length > 0 && gap?.reason === 'epoch') newest.delete(by)
      else wrong.push(JSON.stringify(entry))
    } else if (act === 'read') {
      const before = newest.get(by)
      newest.set(by, offset)
      // Values that are replaced leave holes.
      const follows = before === undefined || (value === undefined ? offset === before + 1 : offset > before)
      if (!follows) wrong.push(`${by} read ${offset} after ${before}`)
    }
  }
  return wrong
}
