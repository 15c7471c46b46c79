import { expect, it } from 'vitest'
import {
  busiestOf,
  latestEnded,
  pageOf,
  slowestOf,
  sumOfHistories,
  sumOfHubs,
  worstOf,
} from '../../server/monitor/sums.ts'
import type { AttentionEntry, ConnectionInfo, EndedConnection, HubInfo } from '../../shared/sys.ts'

it('a hub is the sum of its nodes; what they share, and what is of one, is not summed', () => {
  const one = {
    version: '1',
    node: { id: 'a', name: 'a' },
    nodes: 1,
    startedAt: 20,
    streams: 2,
    queues: 3,
    connections: 5,
    publishedPerSecond: 0.1,
    droppedTotal: { conflate: 1, link: 0 },
    cpu: 0.25,
    eventLoopDelayMs: 3,
  } as unknown as HubInfo
  const two = { ...one, node: { id: 'b', name: 'b' }, startedAt: 10, publishedPerSecond: 0.2, eventLoopDelayMs: 7 }
  expect(sumOfHubs([one])).toBe(one)
  expect(sumOfHubs([one, two])).toMatchObject({
    node: { id: 'a' },
    nodes: 2,
    startedAt: 10,
    streams: 2,
    queues: 3,
    connections: 10,
    publishedPerSecond: 0.3,
    droppedTotal: { conflate: 2, link: 0 },
    cpu: 0.5,
    eventLoopDelayMs: 7,
  })
})

it('histories are summed at the times of the first node, with the last values of the others', () => {
  const history = (times: number[], values: number[]) => ({ times, figures: { n: values }, kept: true })
  const own = history([1000, 2000, 3000, 4000, 9000], [1, 1, 1, 1, 1])
  const other = history([1900, 2900, 4100], [10, 20, 30])
  const sum = sumOfHistories([own, other], 1000)
  // Before its first sample there is nothing of it; what is older than two steps is no longer how it is.
  expect(sum).toEqual(history([1000, 2000, 3000, 4000, 9000], [1, 11, 21, 21, 1]))
  expect(sumOfHistories([own], 1000)).toEqual(own)
})

it('topics come once, the busiest of all nodes first', () => {
  const topic = (name: string, rate: number, total: number) => ({
    topic: name,
    publishedPerSecond: rate,
    publishedTotal: total,
  })
  const all = [
    { count: 2, busiest: [topic('a', 5, 10), topic('b', 1, 1)] },
    { count: 2, busiest: [topic('c', 6, 6), topic('a', 2, 2)] },
  ]
  expect(busiestOf(all, 2)).toEqual({ count: 4, busiest: [topic('a', 7, 12), topic('c', 6, 6)] })
})

it('connections come by their order, and a page does not end among those of one number', () => {
  const connection = (name: string, number: number, more: object = {}) =>
    ({ connection: name, number, lagMs: 0, outboxBytes: 0, droppedTotal: 0, ...more }) as unknown as ConnectionInfo
  const [a1, a2, b1, b2] = [
    connection('a1', 1),
    connection('a2', 2, { lagMs: 5 }),
    connection('b1', 1, { outboxBytes: 1 }),
    connection('b2', 2, { lagMs: 9 }),
  ] as const
  const pages = [[a1, a2] as const, [b1, b2] as const].map((connections) => ({ count: 2, connections }))
  expect(pageOf(pages, 1)).toEqual({ count: 4, connections: [a1, b1] })
  expect(pageOf(pages, 3)).toEqual({ count: 4, connections: [a1, b1, a2, b2] })
  const slowest = pages.map(({ count, connections }) => ({ count, slowest: connections }))
  expect(slowestOf(slowest, 3)).toEqual({ count: 4, slowest: [b2, a2, b1] })
  const ended = (endedAt: number) => ({ endedAt }) as EndedConnection
  expect(latestEnded([[ended(9), ended(2)], [ended(5)]], 2)).toEqual([ended(9), ended(5)])
})

it('what needs attention comes with the worst first, and all of it is counted', () => {
  const row = (severity: number, weight: number, name: string) => ({
    severity,
    weight,
    entry: { about: { kind: 'queue', name }, level: 'warning', troubles: [] } as AttentionEntry,
  })
  const all = [
    { problems: 1, warnings: 1, worst: [row(2, 1, 'b'), row(1, 9, 'c')] },
    { problems: 3, warnings: 0, worst: [row(2, 5, 'a')] },
  ]
  const { problems, warnings, entries } = worstOf(all, 2)
  expect([problems, warnings]).toEqual([4, 1])
  expect(entries.map(({ about }) => about)).toMatchObject([{ name: 'a' }, { name: 'b' }])
})
