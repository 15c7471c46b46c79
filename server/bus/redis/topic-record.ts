/** Topics that a record remembers. A busy hub whose topics are all different forgets the oldest: then it says "all". */
const MAX_TOPICS = 10_000

/** Which topics had messages after a mark: names, or `all` if that is no longer known. */
export type TopicsSince = readonly string[] | 'all'

/** Topics with the mark of their last message: a batch number or a time. Marks never decrease. */
export class TopicRecord {
  /** In the order of their marks. */
  private readonly marks = new Map<string, number>()
  /** Something with this mark has been forgotten for lack of room. */
  private forgotten = Number.NEGATIVE_INFINITY

  /** A record of which nothing is known. */
  static unknown(): TopicRecord {
    const record = new TopicRecord()
    record.forgotten = Number.POSITIVE_INFINITY
    return record
  }

  add(topic: string, mark: number): void {
    // A batch usually has few topics, so each keeps its place.
    if (this.marks.get(topic) === mark) return
    this.marks.delete(topic)
    this.marks.set(topic, mark)
    if (this.marks.size <= MAX_TOPICS) return
    const [oldest, at] = this.marks.entries().next().value as [string, number]
    this.marks.delete(oldest)
    this.forgotten = at
  }

  /** Drops what is no longer asked for: everything up to a mark. */
  drop(mark: number): void {
    for (const [topic, at] of this.marks) {
      if (at > mark) return
      this.marks.delete(topic)
    }
  }

  since(mark: number): TopicsSince {
    if (mark < this.forgotten) return 'all'
    return [...this.marks].filter(([, at]) => at > mark).map(([topic]) => topic)
  }
}
