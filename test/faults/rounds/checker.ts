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
  readonly key: string | undefined
  readonly n: number
}

export interface FinalState {
  readonly orders: readonly Kept[]
  readonly invoices: readonly Kept[]
  /** Ids of the dead letters. */
  readonly deadLetters: readonly string[]
  readonly restores: readonly Restore[]
  /** How hubs ended that no round had ended. */
  readonly crashes: readonly string[]
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
  /** Orders that no reader ever saw, offsets that one saw out of order, and gaps that nothing explains. */
  readonly unread: readonly string[]
  readonly crashes: readonly string[]
}

/** Judges by the histories and by what exists at the end, and not by the hub's own figures. */
export function judge(history: readonly Entry[], end: FinalState): Verdict {
  const { orders, invoices, deadLetters, restores, crashes } = end
  const of = (act: string) => history.filter((entry) => entry.act === act)
  const acknowledged = of('acknowledged').map(({ by, n, at = 0 }) => ({ id: `${by}.${n}`, at }))
  const restoredAway = (at: number) => restores.some(({ from, to }) => at >= from && at <= to)
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
    lost: acknowledged
      .filter(({ id, at }) => (inStream.has(id) ? !ended.has(id) : !restoredAway(at)))
      .map(({ id }) => id),
    doubled: [...repeated(orders.map(({ id }) => id)), ...repeated(ends)],
    reordered: [...outOfOrder(orders), ...outOfOrder(invoices)],
    unread: unread(history, orders, restores.length > 0),
    crashes,
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

function unread(history: readonly Entry[], orders: readonly Kept[], restored: boolean): string[] {
  const seen = new Set(history.flatMap(({ act, id }) => (act === 'read' ? [id] : [])))
  const wrong = orders.filter(({ id }) => !seen.has(id)).map(({ id }) => `${id} was never read`)
  const newest = new Map<string, number>()
  for (const entry of history) {
    const { act, by, offset = 0, gap } = entry
    if (act === 'gap') {
      // A log that was restored is another one, which a reader has to be told of.
      if (restored && gap?.reason === 'epoch') newest.delete(by)
      else wrong.push(JSON.stringify(entry))
    } else if (act === 'read') {
      const before = newest.get(by)
      newest.set(by, offset)
      if (before !== undefined && offset !== before + 1) wrong.push(`${by} read ${offset} out of order`)
    }
  }
  return wrong
}
