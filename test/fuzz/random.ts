export type Random = () => number

export function whole(random: Random, below: number): number {
  return Math.floor(random() * below)
}

export function pick<Item>(random: Random, items: readonly Item[]): Item {
  return items[whole(random, items.length)] as Item
}
