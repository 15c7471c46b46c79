import { describe, expect, it } from 'vitest'
import {
  deathNote,
  letterCondition,
  lettersMeant,
  parksGroup,
  redriven,
} from '../../server/broker/rules/dead-letters.ts'
import { isExpired } from '../../server/broker/rules/expiry.ts'
import { fateOf, whenExpired, whenOverflowing } from '../../server/broker/rules/fate.ts'
import { Identities, isForgotten } from '../../server/broker/rules/identity.ts'
import { isReplaced, isWorthCompacting, valueName } from '../../server/broker/rules/last-value.ts'
import { isWithin, roomFor } from '../../server/broker/rules/limits.ts'
import { dueAfterRestart } from '../../server/broker/rules/order.ts'
import { splitRecord } from '../../server/broker/rules/record.ts'
import { firstByCount, isBlockOver, isTooOld, tooOldAt } from '../../server/broker/rules/retention.ts'
import { neediest, purposeOfEnding } from '../../server/broker/rules/storage-full.ts'
import { encodeRecord } from '../../shared/codec.ts'

// Each rule by itself: when a model fails, this shows whether the rule or its use is wrong.

describe('the end of a lease', () => {
  const options = { maxAttempts: 3, backoffBaseMs: 100, backoffCapMs: 350 }
  const most = { jitter: () => 1 }
  const least = { jitter: () => 0 }
  const nack = { kind: 'nack', error: 'no', delayMs: undefined } as const

  it('charges a nack, doubles the wait up to the cap, and randomises half of it', () => {
    expect(fateOf(nack, 0, options, most)).toEqual({ kind: 'retry', attempts: 1, error: 'no', delayMs: 100 })
    expect(fateOf(nack, 1, options, most)).toMatchObject({ attempts: 2, delayMs: 200 })
    expect(fateOf(nack, 1, options, least)).toMatchObject({ attempts: 2, delayMs: 100 })
    expect(fateOf(nack, 5, { ...options, maxAttempts: 9 }, most)).toMatchObject({ delayMs: 350 })
    expect(fateOf({ ...nack, delayMs: 0 }, 0, options, most)).toMatchObject({ delayMs: 0 })
  })

  it('dead-letters the last attempt and a reject, and does not charge a suspect', () => {
    expect(fateOf(nack, 2, options, most)).toEqual({ kind: 'dead', reason: 'attempts', attempts: 3, error: 'no' })
    const reject = { kind: 'reject', error: undefined } as const
    expect(fateOf(reject, 0, options, most)).toMatchObject({ kind: 'dead', reason: 'rejected', attempts: 1 })
    const suspect = { kind: 'suspect', error: 'gone' } as const
    expect(fateOf(suspect, 2, options, most)).toEqual({ kind: 'retry', attempts: 2, error: 'gone', delayMs: 350 })
    expect(fateOf({ kind: 'ack' }, 2, options, most)).toEqual({ kind: 'done' })
  })
})

describe('dead letters', () => {
  it('are made on expiry and overflow as the queue is configured', () => {
    expect(whenExpired({ onExpiry: 'drop' }, 1)).toBeUndefined()
    expect(whenExpired({ onExpiry: 'dead-letter' }, 1)).toMatchObject({ reason: 'expired', attempts: 1 })
    expect(whenOverflowing({ overflow: 'drop-oldest' }, 0)).toBeUndefined()
    expect(whenOverflowing({ overflow: 'dead-letter' }, 0)).toMatchObject({ reason: 'overflow', attempts: 0 })
  })

  it('keep the last error, and park their group if they have a key', () => {
    const dying = { topic: 't', key: 'k', publishedAt: 1, lastError: 'before' }
    expect(deathNote(dying, { reason: 'expired', attempts: 1, error: undefined }, 5)).toEqual({
      topic: 't',
      key: 'k',
      reason: 'expired',
      error: 'before',
      attempts: 1,
      publishedAt: 1,
      diedAt: 5,
    })
    expect(deathNote(dying, { reason: 'rejected', attempts: 1, error: 'now' }, 5).error).toBe('now')
    expect([parksGroup({ onDeadLetter: 'park' }, 'k'), parksGroup({ onDeadLetter: 'park' }, undefined)]).toEqual([
      true,
      false,
    ])
  })

  it('are selected by number, topic, key, reason and part of their error', () => {
    expect(lettersMeant({ letters: [7, 3, 3, 9], through: 8 }, 0, 100)).toEqual({ only: [3, 7], to: 9 })
    expect(lettersMeant({}, 0, 100)).toEqual({ only: undefined, to: 100 })
    expect(letterCondition({ letters: [1] })).toBeUndefined()
    const note = {
      topic: 'a.b',
      key: 'k',
      reason: 'expired',
      error: 'too late',
      attempts: 0,
      publishedAt: 0,
      diedAt: 0,
    }
    const meets = (filter: Parameters<typeof letterCondition>[0]) => letterCondition(filter)?.(note as never)
    expect(meets({ topic: 'a.*', key: 'k', reason: 'expired', error: 'late' })).toBe(true)
    for (const filter of [{ topic: 'b.#' }, { key: 'l' }, { reason: 'rejected' }, { error: 'early' }] as const) {
      expect(meets(filter)).toBe(false)
    }
  })

  it('lose their expiry when they are redriven, and nothing else of their text', () => {
    const wire = '{"type":"message","id":"1","expiresAt":5,"data":{"expiresAt":6,"n":1e400}}'
    const without = '{"type":"message","id":"1","data":{"expiresAt":6,"n":1e400}}'
    const letter = { topic: 't', key: undefined }
    expect(redriven(letter, wire, 9)).toMatchObject({ time: 9, expiresAt: undefined, priority: 4, wire: without })
    expect(redriven(letter, without, 9).wire).toBe(without)
    const record = encodeRecord('{"id":"1","expiresAt":5}', new Uint8Array([1, 2]))
    const { header, payload } = splitRecord(redriven(letter, record, 9).wire as Uint8Array)
    expect([header, [...payload]]).toEqual(['{"id":"1"}', [1, 2]])
  })
})

it('a queue finds free room, makes room, makes a publish wait for room, or has none', () => {
  const limits = { maxMessages: 3, maxBytes: 100 }
  const one = { messages: 1, bytes: 40 }
  const held = { messages: 3, bytes: 90 }
  const waiting = { messages: 1, bytes: 40 }
  const room = (overflow: 'reject' | 'drop-oldest' | 'dead-letter' | 'block', leaves = waiting, more = one) =>
    roomFor({ ...limits, overflow }, held, leaves, more)
  expect([isWithin(limits, 3, 100), isWithin(limits, 4, 1), isWithin(limits, 1, 101)]).toEqual([true, false, false])
  expect([room('reject'), room('drop-oldest'), room('dead-letter'), room('block')]).toEqual([
    'none',
    'made',
    'made',
    'awaited',
  ])
  for (const overflow of ['reject', 'drop-oldest', 'block'] as const) {
    expect(room(overflow, waiting, { messages: 0, bytes: 10 })).toBe('free')
  }
  // Messages in flight are never removed to make room, and a publish that is too large for the queue cannot wait for any.
  expect(room('drop-oldest', { messages: 0, bytes: 0 })).toBe('none')
  expect(room('block', waiting, { messages: 1, bytes: 101 })).toBe('none')
})

it('time: expiry, delays across a clock that was set back, age, and the window of ids', () => {
  expect([isExpired(undefined, 5), isExpired(5, 5), isExpired(6, 5)]).toEqual([false, true, false])
  expect([dueAfterRestart(150, 100, 120), dueAfterRestart(150, 100, 10)]).toEqual([150, 60])
  const age = { maxAgeMs: 10 }
  expect([isTooOld(5, 15, age), isTooOld(5, tooOldAt(5, age), age)]).toEqual([false, true])
  expect([isForgotten(5, 14, 10), isForgotten(5, 15, 10)]).toEqual([false, true])
})

it('retention deletes by count and by bytes, and keeps the newest block', () => {
  const log = { first: 2, next: 10, bytes: 500 }
  expect([
    firstByCount(log, {}),
    firstByCount(log, { maxMessages: 3 }),
    firstByCount(log, { maxMessages: 30 }),
  ]).toEqual([2, 7, 2])
  expect(isBlockOver(1, log, { maxBytes: 1000 })).toBe(true)
  expect([isBlockOver(5, log, { maxBytes: 400 }), isBlockOver(9, log, { maxBytes: 400 })]).toEqual([true, false])
})

it('the newest value of a topic and key is kept, and many replaced ones trigger a compaction', () => {
  expect(valueName('a', undefined)).toBe(valueName('a', ''))
  expect(valueName('a', 'b')).not.toBe(valueName('b', 'a'))
  expect([isReplaced(3, 4), isReplaced(3, 3), isReplaced(3, undefined)]).toEqual([true, false, false])
  expect([isWorthCompacting(1001, 1001), isWorthCompacting(5000, 1001), isWorthCompacting(10, 9)]).toEqual([
    true,
    false,
    false,
  ])
})

it('an id belongs to one publisher and one topic', () => {
  const identities = new Identities()
  const of = (publisher: string | undefined, topic: string, id: string) => identities.of({ publisher, topic, id })
  expect(of('p', 't', '1')).toBe(new Identities().of({ publisher: 'p', topic: 't', id: '1' }))
  const all = [of('p', 't', '1'), of('q', 't', '1'), of(undefined, 't', '1'), of('p', 'u', '1'), of('p', 't', '2')]
  expect(new Set(all).size).toBe(all.length)
})

it('a full disk accepts acks before failures, and failures before messages', () => {
  const ack = { kind: 'ack' } as const
  const suspect = { kind: 'suspect', error: 'no' } as const
  expect([purposeOfEnding(ack, false), purposeOfEnding(suspect, false), purposeOfEnding(ack, true)]).toEqual([
    'room',
    'failure',
    'message',
  ])
  expect([neediest([]), neediest(['room', 'failure', 'room']), neediest(['failure', 'message'])]).toEqual([
    'room',
    'failure',
    'message',
  ])
})
