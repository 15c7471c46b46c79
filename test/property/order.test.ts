import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Client } from '../../client/node.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { range, streamWorlds } from '../setup/streams.ts'

/** A topic with a binding that has `match`, one that a stream captures, one that may be captured later, and one that nothing keeps. */
const TOPICS = ['matched', 'streamed', 'changing', 'live'] as const
type Topic = (typeof TOPICS)[number]

interface Message {
  readonly publisher: number
  readonly topic: Topic
  /** It has the header that the binding matches. */
  readonly matches: boolean
}

type Step =
  /** Published in one turn, and so in one batch of each client. */
  | { readonly do: 'publish'; readonly messages: readonly Message[] }
  /** Declares or deletes what captures `changing`, or a queue bound to it, without waiting for the answer. */
  | { readonly do: 'stream' | 'queue' | 'matching queue'; readonly there: boolean }
  /** Lets some of what is in flight arrive. */
  | { readonly do: 'pass'; readonly turns: number }

const PUBLISHERS = 3
const message: fc.Arbitrary<Message> = fc.record({
  publisher: fc.nat(PUBLISHERS - 1),
  topic: fc.constantFrom(...TOPICS),
  matches: fc.boolean(),
})
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('publish' as const),
      messages: fc.array(message, { minLength: 1, maxLength: 12 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('stream' as const, 'queue' as const, 'matching queue' as const),
      there: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('pass' as const), turns: fc.integer({ min: 1, max: 4 }) }),
  },
)

/** What a subscriber gets: the publisher, and the number of the message among those of the publisher on this topic. */
interface Numbered {
  readonly publisher: number
  readonly n: number
}

const MATCH = { all: { kind: 'kept' } }

onEveryEngine('order', (hubs) => {
  const startIn = streamWorlds(hubs)

  /** Reads this many messages of a pattern. */
  async function reading(client: Client, pattern: string) {
    const subscription = client.subscribe(pattern)
    await subscription.ready
    return async (count: number) => {
      const got: { readonly topic: string; readonly data: Numbered }[] = []
      if (count > 0) {
        for await (const { topic, data } of subscription) {
          if (got.push({ topic, data: data as Numbered }) === count) break
        }
      }
      return got
    }
  }

  it('holds where one topic carries messages that are kept and messages that are not', async () => {
    const { client } = await startIn({ queues: [{ name: 'q', bindings: [{ topic: 't', match: MATCH }] }] })
    const read = await reading(client(), 't')
    const publisher = client()
    const receipts = range(0, 10).map((n) =>
      publisher.publish('t', { publisher: 0, n }, n % 2 === 0 ? { headers: { kind: 'kept' } } : {}),
    )
    await Promise.all(receipts)
    expect((await read(10)).map(({ data }) => data.n)).toEqual(range(0, 10))
  })

  it('holds while a message waits for room, whatever else is published meanwhile', async () => {
    const bindings = [{ topic: 't', match: MATCH }]
    const { client } = await startIn({ queues: [{ name: 'q', bindings, maxMessages: 1, overflow: 'block' }] })
    const read = await reading(client(), 't')
    const publisher = client()
    const publish = (n: number, kind: string) => publisher.publish('t', { publisher: 0, n }, { headers: { kind } })
    await publish(0, 'kept')
    const waits = publish(1, 'kept')
    await publisher.publish('another', 0)
    // More topics than the hub remembers.
    const other = client()
    for (let n = 0; n < 45_000; n += 1000) {
      await Promise.all(range(n, n + 1000).map((topic) => other.publish(`others.${topic}`, 0)))
    }
    const last = publish(2, 'live')
    await publisher.publish('another', 0)
    await other.admin.queues.purge('q')
    await Promise.all([waits, last])
    expect((await read(3)).map(({ data }) => data.n)).toEqual([0, 1, 2])
  })

  it('holds where the queue is deleted that messages were meant for, and none of them is refused', async () => {
    const { client } = await startIn({ queues: [{ name: 'q', bindings: [{ topic: 't' }] }] })
    const read = await reading(client(), 't')
    const publisher = client()
    const publish = (n: number) => publisher.publish('t', { publisher: 0, n })
    const receipts = range(0, 3).map(publish)
    const deleted = publisher.admin.queues.delete('q')
    receipts.push(...range(3, 20).map(publish))
    await Promise.all([deleted, ...receipts])
    expect((await read(20)).map(({ data }) => data.n)).toEqual(range(0, 20))
  })

  it('of each publisher and topic holds for every subscriber, whatever is declared and deleted meanwhile', async () => {
    const { client } = await startIn({ streams: [], queues: [] })
    const [admin, ...publishers] = [client(), ...range(0, PUBLISHERS).map(() => client())]
    let world = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (script) => {
        const run = `r${world++}`
        const { stream, queue, matching } = await declarations(admin, run)
        const subscriber = client()
        const reads = await Promise.all([reading(subscriber, `${run}.#`), reading(subscriber, `${run}.*`)])
        const under: Promise<unknown>[] = []
        const counts = new Map<string, number>()
        let published = 0
        for (const each of script) {
          if (each.do === 'publish') {
            for (const { publisher, topic, matches } of each.messages) {
              const of = `${publisher} ${topic}`
              const n = counts.get(of) ?? 0
              counts.set(of, n + 1)
              published++
              const headers = { kind: matches ? 'kept' : 'live' }
              under.push((publishers[publisher] as Client).publish(`${run}.${topic}`, { publisher, n }, { headers }))
            }
          } else if (each.do === 'pass') {
            for (let turn = 0; turn < each.turns; turn++) await admin.admin.queues.show(`${run}-matched`)
          } else {
            const act = { stream, queue, 'matching queue': matching }[each.do][each.there ? 'declare' : 'delete']
            // What is not there cannot be deleted.
            under.push(act().catch(() => {}))
          }
        }
        await Promise.all(under)
        for (const got of await Promise.all(reads.map((read) => read(published)))) {
          for (const [of, count] of counts) {
            const [publisher, topic] = of.split(' ')
            const its = got.filter(
              (each) => each.topic === `${run}.${topic}` && each.data.publisher === Number(publisher),
            )
            expect(its.map(({ data }) => data.n)).toEqual(range(0, count))
          }
        }
        await subscriber.close()
      }),
      { numRuns: 40 },
    )
  }, 120_000)
})

/** Declares what keeps some of the topics of a run; gives what changes the rest. */
async function declarations({ admin: { streams, queues } }: Client, run: string) {
  await streams.declare({ name: `${run}-streamed`, topics: [`${run}.streamed`] })
  await queues.declare({ name: `${run}-matched`, bindings: [{ topic: `${run}.matched`, match: MATCH }] })
  const topic = `${run}.changing`
  return {
    stream: {
      declare: () => streams.declare({ name: `${run}-s`, topics: [topic] }),
      delete: () => streams.delete(`${run}-s`),
    },
    queue: {
      declare: () => queues.declare({ name: `${run}-q`, bindings: [{ topic }] }),
      delete: () => queues.delete(`${run}-q`),
    },
    matching: {
      declare: () => queues.declare({ name: `${run}-m`, bindings: [{ topic, match: MATCH }] }),
      delete: () => queues.delete(`${run}-m`),
    },
  }
}
