import { setImmediate } from 'node:timers/promises'

/** Yields items in slices of at most this many, each in its own turn of the event loop, so that other work happens in between. */
export async function* inTurns<Item>(items: Iterable<Item>, most: number): AsyncGenerator<readonly Item[]> {
  let slice: Item[] = []
  for (const item of items) {
    if (slice.length === most) {
      yield slice
      slice = []
      await setImmediate()
    }
    slice.push(item)
  }
  if (slice.length > 0) yield slice
}
