import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Subscription } from '../../server/topic/subscription.ts'
import { PatternIndex } from '../../shared/pattern-index.ts'
import { isCovered, matchesPattern, parsePattern, parseTopic } from '../../shared/topic.ts'

const RUNS = 2000

// Few words, so that many match.
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

/** Repeats a part until there are this many words; then adds one that no pattern has. */
function patternOf(part: string, words: number): string {
  return [...part.repeat(words).split('.').slice(0, words), 'b'].join('.')
}

/** Whether a pattern covers another, by trying every way: its `#` takes any words, its `*` any word but `#`. */
function modelCovers([word, ...capture]: readonly string[], pattern: readonly string[]): boolean {
  if (word === undefined) return pattern.length === 0
  if (word === '#')
    return [...pattern.keys(), pattern.length].some((taken) => modelCovers(capture, pattern.slice(taken)))
  const [other, ...rest] = pattern
  return other !== undefined && other !== '#' && (word === '*' || word === other) && modelCovers(capture, rest)
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

describe('a pattern that covers another', () => {
  it('is found as by the model, by itself and in the index', () => {
    let covered = 0
    fc.assert(
      fc.property(pattern, fc.array(pattern, { minLength: 1, maxLength: 5 }), (asked, captures) => {
        const words = parsePattern(asked)
        const index = new PatternIndex<{ words: string[]; slot: number }>()
        const entries = captures.map((capture) => ({ words: parsePattern(capture), slot: -1 }))
        for (const entry of entries) index.add(entry)
        const ofHub = words[0]?.startsWith('$')
        const covering = entries.filter((entry) => {
          const ofOthers = entry.words[0] === '*' || entry.words[0] === '#'
          return !(ofHub && ofOthers) && modelCovers(entry.words, words)
        })
        covered += covering.length
        for (const { words: capture } of entries) {
          expect(isCovered(words, [capture])).toBe(covering.some((entry) => entry.words === capture))
        }
        expect(new Set(index.match(words).flat())).toEqual(new Set(covering))
      }),
      { numRuns: RUNS },
    )
    expect(covered).toBeGreaterThan(100)
  })

  it.each(['#.a.', '*.#.a.', '#.a.*.', '#.a.a.'])('costs little, however often it has %s', (part) => {
    const [capture, again] = [15, 31].map((times) => parsePattern(patternOf(part, times))) as [string[], string[]]
    const index = new PatternIndex<{ words: string[]; slot: number }>()
    for (const words of [capture, again]) index.add({ words, slot: -1 })
    const since = performance.now()
    for (const length of [29, 30, 31, 32]) {
      const asked = Array<string>(length).fill('a')
      expect(isCovered(asked, [capture, again])).toBe(false)
      expect(index.match(asked)).toEqual([])
    }
    // Some microseconds. In every way it is hours.
    expect(performance.now() - since).toBeLessThan(1_000)
  })
})

type Change = { add: string } | { remove: number }

describe('the index of subscriptions', () => {
  const recipient = { deliver: () => {}, missed: () => {} }
  const change: fc.Arbitrary<Change> = fc.oneof(
    { weight: 2, arbitrary: fc.record({ add: pattern }) },
    { weight: 1, arbitrary: fc.record({ remove: fc.nat(100) }) },
  )
  const topics = fc.array(topic, { minLength: 1, maxLength: 5 })

  it('finds each subscription that matches once, whatever was added and removed before', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 100, size: 'max' }), topics, (changes, topics) => {
        const index = new PatternIndex<Subscription>()
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
        expect([...index.entries()].map(({ sub }) => sub).sort(byNumber)).toEqual(
          held.map(({ sub }) => sub).sort(byNumber),
        )
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

it('the index knows whether anything below some words of the hub can be matched', () => {
  const below = fc.constantFrom('$s.a', '$s.a.b', '$s')
  const patterns = fc.array(name(fc.constantFrom('$s', '$t', 'a', '*', '#'), fc.constantFrom('a', 'b', '*', '#')), {
    maxLength: 3,
  })
  const tails = fc.sample(fc.array(word, { minLength: 1, maxLength: 4 }), 200)
  fc.assert(
    fc.property(below, patterns, (below, patterns) => {
      const index = new PatternIndex<{ words: string[]; slot: number }>()
      const all = patterns.map(parsePattern)
      for (const words of all) index.add({ words, slot: -1 })
      const matched = tails.some((tail) => all.some((words) => matchesPattern(words, [...below.split('.'), ...tail])))
      if (matched) expect(index.matchesBelow(below.split('.'))).toBe(true)
      if (!all.some(([first]) => first === '$s')) expect(index.matchesBelow(below.split('.'))).toBe(false)
    }),
    { numRuns: RUNS / 4 },
  )
})

function byNumber(a: number, b: number): number {
  return a - b
}
