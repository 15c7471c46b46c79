import BTree from 'sorted-btree'

/** Tracks when each of many things is due, so that finding those that are due costs nothing for the others. */
export class DueTimes<Thing> {
  private readonly byTime = new BTree.default<number, Set<Thing>>()
  private readonly times = new Map<Thing, number>()

  /** Infinity if the thing has no time. */
  timeOf(thing: Thing): number {
    return this.times.get(thing) ?? Number.POSITIVE_INFINITY
  }

  set(thing: Thing, time: number): void {
    if (this.timeOf(thing) === time) return
    this.delete(thing)
    if (time === Number.POSITIVE_INFINITY) return
    this.times.set(thing, time)
    const things = this.byTime.get(time)
    if (things) things.add(thing)
    else this.byTime.set(time, new Set([thing]))
  }

  /** The thing is due at this time or earlier. */
  setEarlier(thing: Thing, time: number): void {
    if (time < this.timeOf(thing)) this.set(thing, time)
  }

  delete(thing: Thing): void {
    const time = this.times.get(thing)
    if (time === undefined) return
    this.times.delete(thing)
    const things = this.byTime.get(time) as Set<Thing>
    things.delete(thing)
    if (things.size === 0) this.byTime.delete(time)
  }

  /** At most this many due things, the earliest first. They stay until they are set again or deleted. */
  due(now: number, most = Number.POSITIVE_INFINITY): Thing[] {
    const found: Thing[] = []
    for (let time = this.byTime.minKey(); time !== undefined && time <= now; time = this.byTime.nextHigherKey(time)) {
      for (const thing of this.byTime.get(time) as Set<Thing>) {
        if (found.length >= most) return found
        found.push(thing)
      }
    }
    return found
  }

  /** When the next thing becomes due that is not due yet. */
  nextAfter(now: number): number {
    return this.byTime.nextHigherKey(now) ?? Number.POSITIVE_INFINITY
  }
}
