/** Where a space of a Redis has its keys and channels. All keys have one hash tag: a Redis Cluster keeps them in one place, so that scripts can use all of them. */
export class Keys {
  /** What the scripts get: they make all other keys from it. */
  readonly meta: string
  /** The prefix that was configured. */
  readonly name: string
  private readonly prefix: string

  constructor(prefix: string) {
    this.name = prefix
    this.prefix = `{${prefix}}:`
    this.meta = `${this.prefix}meta`
  }

  /** A key that never exists. */
  get none(): string {
    return `${this.prefix}none`
  }

  inboxOf(node: string): string {
    return `${this.prefix}in:${node}`
  }

  stream(stream: number): string {
    return `${this.prefix}s:${stream}`
  }

  values(stream: number): string {
    return `${this.prefix}s:${stream}:v`
  }

  /** The members of its blocks, by their last offsets. */
  index(stream: number): string {
    return `${this.prefix}s:${stream}:i`
  }

  /** Of each block its records and what it says of them, by its first offset. */
  blocks(stream: number): string {
    return `${this.prefix}s:${stream}:b`
  }

  topics(stream: number): string {
    return `${this.prefix}s:${stream}:t`
  }

  cursors(stream: number): string {
    return `${this.prefix}s:${stream}:c`
  }

  /** All streams, or queues, by name. */
  declared(kind: 'streams' | 'queues'): string {
    return `${this.prefix}${kind}`
  }

  get ids(): string {
    return `${this.prefix}ids`
  }

  /** Ids as they came, oldest first. */
  get idChapters(): string {
    return `${this.prefix}ids:l`
  }

  /** Those who have or had messages on lease. */
  get lessees(): string {
    return `${this.prefix}lessees`
  }

  leases(queue: number, lessee: string): string {
    return `${this.prefix}q:${queue}:l:${lessee}`
  }

  /** Numbers of the messages that wait. */
  waiting(queue: number): string {
    return `${this.prefix}q:${queue}:o`
  }

  parked(queue: number): string {
    return `${this.prefix}q:${queue}:p`
  }

  /** What a node has said to the barrier. */
  waited(node: string): string {
    return `${this.prefix}w:${node}`
  }

  node(node: string): string {
    return `${this.prefix}n:${node}`
  }
}
