import { expect, it } from 'vitest'
import type { Nodes } from '../../server/bus/nodes.ts'
import type { ToldShares } from '../../server/bus/questions.ts'
import { QueueShares } from '../../server/queue/queue-shares.ts'

const NONE = { consumers: 0, busy: 0, timedOut: 0, waiting: 0, waitingBytes: 0 }
const ratesOf = (wantedConsumers: number) => ({
  ...{ publishedPerSecond: 0, ackedPerSecond: 0, keepUpConsumers: 0, growing: false, wantedConsumers },
})

/** Nodes that reach one another; `since` of each is its place. Reports to those in `deaf` are lost. */
function sharesOf(ids: readonly string[]) {
  const deaf = new Set<string>()
  const answering = new Map<string, (told: ToldShares, from: string) => boolean>()
  const sent: ToldShares[] = []
  const all = ids.map((id, since) => {
    const nodes = {
      alone: false,
      own: { id, name: id },
      has: (other: string) => ids.includes(other),
      answer: (_: string, answer: (told: ToldShares, from: string) => boolean) => answering.set(id, answer),
      async askEachOther(_: string, told: ToldShares) {
        sent.push(told)
        return ids
          .filter((other) => other !== id)
          .map((other) => ({ answer: deaf.has(other) ? undefined : answering.get(other)?.(told, id) }))
      },
    }
    return new QueueShares(nodes as unknown as Nodes, since)
  })
  return { all: all as [QueueShares, QueueShares, QueueShares], deaf, sent }
}

it('each node has the sums of the others, and the rates of the oldest', async () => {
  const { all, sent } = sharesOf(['z', 'b', 'a'])
  const [oldest, second, third] = all
  for (const shares of all) await shares.report()
  oldest.has('q', { ...NONE, consumers: 1, busy: 1 }, ratesOf(7))
  second.has('q', { ...NONE, consumers: 2, waiting: 3, waitingBytes: 30 }, ratesOf(8))
  third.has('q', NONE, ratesOf(9))
  for (const shares of all) await shares.report()
  expect(oldest.elsewhere('q')).toEqual({ ...NONE, consumers: 2, waiting: 3, waitingBytes: 30 })
  expect(third.elsewhere('q')).toEqual({ ...NONE, consumers: 3, busy: 1, waiting: 3, waitingBytes: 30 })
  expect(all.map((shares) => shares.rates('q', ratesOf(0)).wantedConsumers)).toEqual([0, 7, 7])
  // What has not changed is not sent again.
  const before = sent.length
  second.has('q', { ...NONE, consumers: 2, waiting: 3, waitingBytes: 30 }, ratesOf(10))
  await second.report()
  expect(sent.length).toBe(before)
})

it('what a node that leaves had is no longer there, except what it has counted', async () => {
  const { all } = sharesOf(['z', 'b', 'a'])
  const [oldest, second] = all
  second.has('q', { ...NONE, consumers: 2, timedOut: 4 }, ratesOf(1))
  await second.report()
  oldest.left('b')
  expect(oldest.elsewhere('q')).toEqual({ ...NONE, timedOut: 4 })
})

it('a report that was lost is repeated as a whole', async () => {
  const { all, deaf } = sharesOf(['z', 'b', 'a'])
  const [oldest, second] = all
  second.has('q', { ...NONE, consumers: 2 }, ratesOf(1))
  await second.report()
  deaf.add('z')
  second.has('q', NONE, ratesOf(1))
  await second.report()
  deaf.delete('z')
  expect(oldest.elsewhere('q').consumers).toBe(2)
  second.has('q', NONE, ratesOf(1))
  await second.report()
  expect(oldest.elsewhere('q').consumers).toBe(0)
})
