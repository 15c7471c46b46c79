import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Inbox } from '../../client/inbox.ts'
import { compose } from '../../server/broker/compose.ts'
import { Backlog } from '../../server/connection/backlog.ts'
import { Encoded } from '../../server/topic/encoded.ts'
import { Message } from '../../server/topic/message.ts'
import { Subscription } from '../../server/topic/subscription.ts'
import { realClock } from '../../shared/clock.ts'
import type { HubFrame } from '../../shared/frames.ts'

/** A buffer of conflated messages: what it keeps of those that come, and gives away one by one. */
interface Buffer {
  push(n: number, topic: string): void
  /** The next message; undefined if none waits. */
  take(): { n: number; topic: string } | undefined
  /** What its gaps have counted. */
  readonly leftOut: number
}

function ofHub(): Buffer {
  const account = { add: () => {}, leftOut: () => {} }
  const backlog = new Backlog(account, 0)
  const recipient = { deliver: () => {} }
  const subscription = new Subscription(recipient as never, 1, ['#'], undefined, 'conflate')
  const buffer = {
    leftOut: 0,
    push(n: number, topic: string) {
      const id = `${n}`
      const wire = new Encoded(compose({ id, topic, rest: '', payload: undefined }, undefined), undefined, id)
      backlog.append(new Message({ topic }, id, [topic], n, wire), [subscription], 1e9)
    },
    take(): { n: number; topic: string } | undefined {
      const text = Buffer.concat(backlog.take(realClock, 1).batch.parts.map(({ payload }) => payload)).toString()
      const frames = (text === '' ? [] : [JSON.parse(text)].flat()) as HubFrame[]
      const message = frames.find((frame) => frame.type === 'message')
      for (const frame of frames) if (frame.type === 'gap') buffer.leftOut += frame.count ?? Number.NaN
      // A gap may have been all that there was room for.
      if (!message) return backlog.empty ? undefined : buffer.take()
      return { n: Number(message.id), topic: message.topic }
    },
  }
  return buffer
}

function ofClient(): Buffer {
  const inbox = new Inbox(1e9, true)
  const buffer = {
    leftOut: 0,
    push: (n: number, topic: string) => inbox.push({ message: { id: `${n}`, topic, data: undefined }, log: undefined }),
    take(): { n: number; topic: string } | undefined {
      const item = inbox.shift()
      if (!item) return undefined
      if (item.message) return { n: Number(item.message.id), topic: item.message.topic }
      buffer.leftOut += item.gap.count ?? Number.NaN
      return buffer.take()
    },
  }
  return buffer
}

const TOPICS = 12

it.each([
  ['the hub', ofHub],
  ['the client', ofClient],
])('conflation in %s keeps the order, counts what it leaves out, and passes no topic over for long', (_, make) =>
  fc.assert(
    fc.property(
      // One topic may change much more often than the others.
      fc.array(fc.oneof(fc.nat(TOPICS - 1), fc.constant(0)), { minLength: 300, maxLength: 600, size: 'max' }),
      fc.integer({ min: 1, max: 8 }),
      (topics, perTake) => {
        const buffer = make()
        const newest = new Map<string, number>()
        const waitsSince = new Map<string, number>()
        let taken = 0
        let last = -1
        const take = () => {
          const message = buffer.take()
          if (!message) return false
          taken++
          expect(message.n, 'out of order').toBeGreaterThan(last)
          last = message.n
          expect(taken - (waitsSince.get(message.topic) ?? taken)).toBeLessThanOrEqual(6 * TOPICS)
          if (newest.get(message.topic) === message.n) waitsSince.delete(message.topic)
          else waitsSince.set(message.topic, taken)
          return true
        }
        for (const [n, number] of topics.entries()) {
          const topic = `t${number}`
          buffer.push(n, topic)
          newest.set(topic, n)
          if (!waitsSince.has(topic)) waitsSince.set(topic, taken)
          if (n % perTake === 0) take()
          for (const since of waitsSince.values()) expect(taken - since, 'passed over').toBeLessThanOrEqual(6 * TOPICS)
        }
        let rest = 0
        while (take()) rest++
        expect(rest).toBeLessThanOrEqual(2 * TOPICS)
        expect(taken + buffer.leftOut).toBe(topics.length)
      },
    ),
    { numRuns: 30, endOnFailure: true },
  ),
)
