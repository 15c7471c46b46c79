import { join } from 'node:path'
import { expect } from 'vitest'
import type { Client, DeadLetter } from '../../client/node.ts'
import { configFile } from './hub-process.ts'

/** A message that has passed through a queue: its number, and its group. */
interface Link {
  readonly n: number
  readonly key: string | undefined
}

/** Writes the configuration of a hub whose queue `work` the worker processes consume, and gives its path. */
export function chainConfig(folder: string, maxAttempts: number): Promise<string> {
  const queue = { name: 'work', backoff: { base: 10, cap: 100 }, maxAttempts }
  return configFile(join(folder, 'config.json'), [{ name: 'done', topics: ['done.*'] }], [queue])
}

/** What the consumers of a queue have published with their acks, in the order of the acks. */
export class Chain {
  readonly links: Link[] = []
  /** Called with the number of links, at each one. */
  onLink: (count: number) => void = () => {}

  constructor(client: Client, queue: string) {
    const add = ({ data, key }: { data: unknown; key?: string | undefined }) => {
      this.onLink(this.links.push({ n: data as number, key }))
    }
    client.subscribe(`done.${queue}`, add, { from: 'earliest' })
  }

  /** Resolves when this many have passed. */
  async has(count: number): Promise<void> {
    if (this.links.length >= count) return
    await new Promise<void>((resolve) => {
      const before = this.onLink
      this.onLink = (now) => {
        before(now)
        if (now < count) return
        this.onLink = before
        resolve()
      }
    })
  }

  /**
   * Every message up to `last` is here or among the dead letters, once in both together; and those of each group are in
   * order, as they were published.
   */
  expectAll(last: number, letters: readonly DeadLetter[]): void {
    const places = [...this.links.map(({ n }) => n), ...letters.map(({ message }) => numberOf(message.data))]
    places.sort((a, b) => a - b)
    const wrong = places.findIndex((n, at) => n !== at + 1)
    expect(places.slice(wrong < 0 ? last : wrong, wrong + 5), 'lost or twice').toEqual([])
    expect(places.length).toBe(last)
    expect(this.outOfOrder()).toEqual([])
  }

  private outOfOrder(): object[] {
    const newest = new Map<string, number>()
    return this.links.filter(({ n, key }) => {
      if (key === undefined) return false
      const before = newest.get(key) ?? 0
      newest.set(key, n)
      return n <= before
    })
  }
}

/** All dead letters of a queue. */
export async function allLetters(client: Client, queue: string): Promise<DeadLetter[]> {
  const letters: DeadLetter[] = []
  for (;;) {
    const from = (letters.at(-1)?.letter ?? -1) + 1
    const page = await client.admin.queues.deadLetters.list(queue, {}, { from, limit: 1000 })
    if (page.length === 0) return letters
    letters.push(...page)
  }
}

function numberOf(data: unknown): number {
  return (data as { n: number }).n
}

/** Resolves when nothing of a queue waits or is in flight. */
export async function drained(client: Client, queue: string): Promise<void> {
  for await (const _ of client.subscribe(`$sys.queues.${queue}`)) {
    const { depth, inFlight } = await client.admin.queues.show(queue)
    if (depth + inFlight === 0) return
  }
}
