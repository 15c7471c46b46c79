/** Everything of a list that the hub gives in pages. */
export async function allPages<Item>(page: (from: number) => Promise<unknown>): Promise<Item[]> {
  const all: Item[] = []
  for (;;) {
    const items = (await page(all.length)) as readonly Item[]
    // A page ends at some size too, so only an empty one is beyond the last.
    if (items.length === 0) return all
    for (const item of items) all.push(item)
  }
}
