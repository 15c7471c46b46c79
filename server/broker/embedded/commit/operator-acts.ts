/** A place in a queue. The number distinguishes queues that had the same name one after another. */
export interface QueuePlace {
  readonly id: number
  readonly name: string
  readonly seq: number
}

/** Sequence numbers of one queue as ranges: first and last number in turn, ascending. */
interface Ranges {
  readonly queue: number
  readonly bounds: readonly number[]
}

interface Move {
  readonly from: { readonly id: number; readonly seq: number }
  readonly to: QueuePlace
}

/** What operators did with messages of queues in one commit. */
export interface Acts {
  readonly purged: Ranges[]
  readonly moved: Move[]
}

/**
 * What operators did with messages of queues within the deduplication window: a message whose earlier publish was purged is not a
 * duplicate. Purges are stored as ranges, so that a purge costs what it removes rather than a walk through the ids.
 */
export class OperatorActs {
  private readonly purges = new Map<number, Ranges[]>()
  private readonly moves = new Map<number, Map<number, QueuePlace>>()

  add({ purged, moved }: Acts): void {
    for (const ranges of purged) {
      const known = this.purges.get(ranges.queue)
      if (known) known.push(ranges)
      else this.purges.set(ranges.queue, [ranges])
    }
    for (const { from, to } of moved) {
      const known = this.moves.get(from.id) ?? new Map<number, QueuePlace>()
      this.moves.set(from.id, known.set(from.seq, to))
    }
  }

  remove({ purged, moved }: Acts): void {
    for (const ranges of purged) {
      const left = (this.purges.get(ranges.queue) ?? []).filter((other) => other !== ranges)
      if (left.length > 0) this.purges.set(ranges.queue, left)
      else this.purges.delete(ranges.queue)
    }
    for (const { from } of moved) {
      const known = this.moves.get(from.id)
      known?.delete(from.seq)
      if (known?.size === 0) this.moves.delete(from.id)
    }
  }

  /** Where a message is now that was stored in a place; undefined if it has been purged. */
  placeOf(place: QueuePlace): QueuePlace | undefined {
    let at = place
    for (let to = this.movedTo(at); to; to = this.movedTo(at)) at = to
    return this.purges.get(at.id)?.some(({ bounds }) => isWithin(bounds, at.seq)) ? undefined : at
  }

  private movedTo({ id, seq }: QueuePlace): QueuePlace | undefined {
    return this.moves.get(id)?.get(seq)
  }
}

/** Converts sequence numbers to ranges. */
export function rangesOf(queue: number, seqs: readonly number[]): Ranges {
  const bounds: number[] = []
  let last = Number.NaN
  for (const seq of [...seqs].sort((a, b) => a - b)) {
    if (seq === last + 1) bounds[bounds.length - 1] = seq
    else bounds.push(seq, seq)
    last = seq
  }
  return { queue, bounds }
}

function isWithin(bounds: readonly number[], seq: number): boolean {
  let low = 0
  let high = bounds.length / 2
  while (low < high) {
    const middle = (low + high) >> 1
    if ((bounds[2 * middle + 1] as number) < seq) low = middle + 1
    else high = middle
  }
  return low < bounds.length / 2 && (bounds[2 * low] as number) <= seq
}
