/** The first `most` items in an order, without sorting all of them. */
export function firstOf<Item>(items: Iterable<Item>, most: number, order: (a: Item, b: Item) => number): Item[] {
  const first: Item[] = []
  for (const item of items) {
    if (first.length === most && order(item, first[most - 1] as Item) >= 0) continue
    first.splice(placeOf(item, first, order), 0, item)
    if (first.length > most) first.pop()
  }
  return first
}

/** The place after all equal items. */
function placeOf<Item>(item: Item, sorted: readonly Item[], order: (a: Item, b: Item) => number): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (order(item, sorted[middle] as Item) < 0) high = middle
    else low = middle + 1
  }
  return low
}
