import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Subscription } from '../../server/topic/subscription.ts'
import { SubscriptionIndex } from '../../server/topic/subscription-index.ts'
import { matchesPattern, parsePattern, parseTopic } from '../../shared/topic.ts'

const RUNS = 2000

// Few words, so that much matches.
const word = fc.constantFrom('a', 'b')
const first = fc.constantFrom('a', 'b', '$a')
const name = (head: fc.Arbitrary<string>, tail: fc.Arbitrary<string>) =>
  fc.tuple(head, fc.array(tail, { maxLength: 6 })).map(([head, tail]) => [head, ...tail].join('.'))
const topic = name(first, word)
const pattern = name(fc.oneof(first, fc.constantFrom('*', '#')), fc.oneof(word, fc.constantFrom('*', '#', '#')))

/** The rules of PROTOCOL.md, tried in every way. */
function modelMatches(pattern: readonly string[], topic: readonly string[]): boolean {
  if (topic[0]?.startsWith('$') && (pattern[0] === '*' || pattern[0] === '#')) return false
  return wordsMatch(pattern, topic)
}

function wordsMatch([word, ...pattern]: readonly string[], topic: readonly string[]): boolean {
  if (word === undefined) return topic.length === 0
  if (word === '#') return [...topic.keys(), topic.length].some((taken) => wordsMatch(pattern, topic.slice(taken)))
  return topic.length > 0 && (word === '*' || word === topic[0]) && wordsMatch(pattern, topic.slice(1))
}

describe('patterns', () => {
  it('match as the model does', () => {
    fc.assert(
      fc.property(pattern, topic, (pattern, topic) => {
        expect(matchesPattern(parsePattern(pattern), parseTopic(topic))).toBe(
          modelMatches(pattern.split('.'), topic.split('.')),
        )
      }),
      { numRuns: RUNS },
    )
  })

  it('have one canonical form, which means the same', () => {
    fc.assert(
      fc.property(pattern, topic, (pattern, topic) => {
        const canonical = parsePattern(pattern)
        expect(parsePattern(canonical.join('.'))).toEqual(canonical)
        expect(canonical.join('.')).not.toMatch(/#\.[*#]/)
        expect(modelMatches(canonical, topic.split('.'))).toBe(modelMatches(pattern.split('.'), topic.split('.')))
      }),
      { numRuns: RUNS },
    )
  })
})

type Change = { add: string } | { remove: number }

describe('the index of subscriptions', () => {
  const recipient = { deliver: () => {} }
  const change: fc.Arbitrary<Change> = fc.oneof(
    { weight: 2, arbitrary: fc.record({ add: pattern }) },
    { weight: 1, arbitrary: fc.record({ remove: fc.nat(100) }) },
  )
  const topics = fc.array(topic, { minLength: 1, maxLength: 5 })

  it('finds each subscription that matches once, whatever was added and removed before', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 100, size: 'max' }), topics, (changes, topics) => {
        const index = new SubscriptionIndex()
        const held: Subscription[] = []
        for (const [sub, change] of changes.entries()) {
          if ('add' in change) {
            const added = new Subscription(recipient, sub, parsePattern(change.add), undefined, 'drop-oldest')
            held.push(added)
            index.add(added)
          } else if (held.length > 0) {
            const [removed] = held.splice(change.remove % held.length, 1) as [Subscription]
            index.remove(removed)
            // Once more does nothing.
            index.remove(removed)
          }
        }
        expect(index.size).toBe(held.length)
        for (const words of topics.map(parseTopic)) {
          const found = index.match(words).flat()
          const matching = held.filter((subscription) => matchesPattern(subscription.words, words))
          expect(found.map(({ sub }) => sub).sort(byNumber)).toEqual(matching.map(({ sub }) => sub).sort(byNumber))
        }
      }),
      { numRuns: RUNS / 4 },
    )
  })
})

function byNumber(a: number, b: number): number {
  return a - b
}
