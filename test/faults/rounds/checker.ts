/** What processes have noted, a line each. */
export interface Entry {
  readonly act: string
  readonly by: string
  readonly n?: number
  readonly id?: string
  readonly offset?: number
  readonly attempt?: number
}

/** A message as it lies in a stream at the end. */
export interface Kept {
  readonly id: string
  readonly key: string | undefined
  readonly n: number
}

export interface FinalState {
  readonly orders: readonly Kept[]
  readonly invoices: readonly Kept[]
  /** Ids of the dead letters. */
  readonly deadLetters: readonly string[]
}

export interface Verdict {
  readonly asked: number
  readonly acknowledged: number
  readonly refused: number
  /** Attempts of consumers, and how many of them were repetitions. */
  readonly handled: number
  readonly redelivered: number
  /** Acknowledged orders that are not in the stream, or of which neither an invoice nor a dead letter is there. */
  readonly lost: readonly string[]
  /** Orders that are twice in the stream, or have two ends. */
  readonly doubled: readonly string[]
  /** Invoices, or orders in the stream, that are before one that was published earlier under the same key. */
  readonly reordered: readonly string[]
  /** Offsets that the reader never saw, or saw out of order between two starts. */
  readonly unread: readonly string[]
}

/** Judges by the histories and by what is there at the end, and by nothing that the hub says of itself. */
export function judge(history: readonly Entry[], { orders, invoices, deadLetters }: FinalState): Verdict {
  const of = (act: string) => history.filter((entry) => entry.act === act)
  const acknowledged = of('acknowledged').map(({ by, n }) => `${by}.${n}`)
  const inStream = new Set(orders.map(({ id }) => id))
  const ends = [...invoices.map(({ id }) => id.replace('invoice.', '')), ...deadLetters]
  const ended = new Set(ends)
  const handled = of('handled')
  return {
    asked: of('asked').length,
    acknowledged: acknowledged.length,
    refused: history.filter(({ act }) => act.startsWith('refused')).length,
    handled: handled.length,
    redelivered: handled.length - new Set(handled.map(({ id }) => id)).size,
    lost: acknowledged.filter((id) => !inStream.has(id) || !ended.has(id)),
    doubled: [...repeated(orders.map(({ id }) => id)), ...repeated(ends)],
    reordered: [...outOfOrder(orders), ...outOfOrder(invoices)],
    unread: unread(history, orders.length),
  }
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

function unread(history: readonly Entry[], count: number): string[] {
  const read = history.filter(({ act }) => act === 'read')
  const seen = new Set(read.map(({ offset }) => offset))
  const missing = Array.from({ length: count }, (_, offset) => offset).filter((offset) => !seen.has(offset))
  const newest = new Map<string, number>()
  const jumps = read.filter(({ by, offset = 0 }) => {
    const before = newest.get(by)
    newest.set(by, offset)
    return before !== undefined && offset !== before + 1
  })
  return [
    ...missing.map((offset) => `${offset} was never read`),
    ...jumps.map(({ by, offset }) => `${by} read ${offset} out of order`),
    ...history.filter(({ act }) => act === 'gap').map((gap) => JSON.stringify(gap)),
  ]
}
