import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Access } from '../../server/auth/access.ts'
import { fill } from '../../server/auth/permissions.ts'
import { isCovered, matchesPattern, parsePattern, parseTopic, topicWord } from '../../shared/topic.ts'

const word = fc.constantFrom('a', 'b', '$sys')
const plain = fc.constantFrom('a', 'b')
const pattern = fc
  .tuple(fc.constantFrom('a', 'b', '$sys', '*', '#'), fc.array(fc.constantFrom('a', 'b', '*', '#'), { maxLength: 4 }))
  .map(([first, rest]) => parsePattern([first, ...rest].join('.')))
const topic = fc.tuple(word, fc.array(plain, { maxLength: 5 })).map(([first, rest]) => [first, ...rest])

it('what a pattern covers it matches: no topic of a covered pattern is beyond it', () => {
  let covered = 0
  fc.assert(
    fc.property(
      pattern,
      fc.array(pattern, { minLength: 1, maxLength: 3 }),
      fc.array(topic, { minLength: 30 }),
      (asked, allowed, topics) => {
        if (!isCovered(asked, allowed)) return
        covered++
        for (const words of topics) {
          if (matchesPattern(asked, words)) expect(allowed.some((each) => matchesPattern(each, words))).toBe(true)
        }
      },
    ),
    { numRuns: 3000 },
  )
  expect(covered).toBeGreaterThan(100)
})

it('an identity with many patterns may what it may with each of them', () => {
  const none = Array.from({ length: 40 }, (_, n) => `other-${n}.#`)
  const accessTo = (subscribe: string[]) => new Access({ subject: 'x', permissions: { subscribe } }, () => {})
  fc.assert(
    fc.property(
      fc.array(pattern, { minLength: 1, maxLength: 3 }),
      fc.array(pattern, { maxLength: 10 }),
      (allowed, asked) => {
        const few = allowed.map((words) => words.join('.'))
        const [alone, amongMany] = [accessTo(few), accessTo([...none, ...few])]
        for (const words of asked) {
          const target = words.join('.')
          if (target.startsWith('$sys')) continue
          expect(amongMany.may('subscribe', target)).toBe(alone.may('subscribe', target))
          expect(alone.may('subscribe', target)).toBe(isCovered(words, allowed))
        }
      },
    ),
    { numRuns: 1000 },
  )
})

const access = (subject: string) =>
  new Access(
    { subject, permissions: fill({ publish: ['u.${sub}.#'], subscribe: ['u.${sub}.#'] }, { sub: subject }) },
    () => {},
  )
// Whatever a user may have called himself, and what might trick a hub.
const claim = fc.oneof(
  fc.stringMatching(/^[a-z]{1,5}$/),
  fc.string({ unit: 'grapheme' }),
  fc
    .array(fc.constantFrom('#', '*', '.', '$', '{sub}', '${sub}', 'a', 'bob', ' ', '\n', '\u0000'), { maxLength: 5 })
    .map((all) => all.join('')),
)

it('a claim opens what begins with its word, and nothing else', () => {
  let filled = 0
  fc.assert(
    fc.property(claim, fc.array(plain, { maxLength: 3 }), (subject, rest) => {
      const who = access(subject)
      if (subject !== '') {
        filled++
        expect(who.may('publish', ['u', topicWord(subject), ...rest].join('.'))).toBe(true)
      }
      for (const other of ['bob', '*', '#', 'bob.a', `${subject}x`, `x${subject}`]) {
        if (other === subject || other.startsWith(`${subject}.`) || !isPattern(`u.${other}`)) continue
        expect(who.may('subscribe', ['u', other, ...rest].join('.'))).toBe(false)
      }
      for (const wide of ['#', 'u.#', 'u.*', 'u', '*.#', '$sys.#']) expect(who.may('subscribe', wide)).toBe(false)
    }),
    { numRuns: 2000 },
  )
  expect(filled).toBeGreaterThan(50)
})

it('different texts have different words, and each is one word of a topic', () => {
  const text = fc.oneof(
    claim,
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.constantFrom('a~2Eb', 'a.b', 'a~2eb', 'a~7E2Eb'),
  )
  fc.assert(
    fc.property(text, text, (one, other) => {
      if (one === '' || other === '') return
      expect(parseTopic(topicWord(one))).toHaveLength(1)
      expect(topicWord(one) === topicWord(other)).toBe(one === other)
    }),
    { numRuns: 3000 },
  )
})

it.each([
  ['ann', 'ann'],
  ['urn:x:y', 'urn:x:y'],
  ['auth0|5f7c12', 'auth0~7C5f7c12'],
  ['ann@example.com', 'ann@example~2Ecom'],
  ['müller', 'm~C3~BCller'],
  ['a b', 'a~20b'],
  ['#', '~23'],
  ['$sys', '~24sys'],
  ['a~2Eb', 'a~7E2Eb'],
  ['\u{1f389}', '~F0~9F~8E~89'],
])('the word of %j is %s', (text, word) => {
  expect(topicWord(text)).toBe(word)
  expect(access(text).may('publish', `u.${word}.note`)).toBe(true)
})

it.each([[null], [true], [{}], [['a']], [1.5], [Number.NaN], [''], ['\ud800'], ['x'.repeat(254)], ['é'.repeat(50)]])(
  'the claim %j costs the pattern that it is in, and no other',
  (value) => {
    const unfit: string[] = []
    const permissions = { publish: ['t.${tenant}', 'news'], admin: true }
    expect(fill(permissions, { tenant: value }, (pattern, name) => unfit.push(`${pattern} ${name}`))).toMatchObject({
      publish: ['news'],
      admin: true,
    })
    expect(unfit).toEqual(['t.${tenant} tenant'])
  },
)

it('a claim that is missing permits nothing, inherited ones included', () => {
  for (const name of ['tenant', 'constructor', '__proto__', 'toString']) {
    expect(fill({ publish: [`t.\${${name}}`, 'x'] }, {}).publish).toEqual(['x'])
  }
})

function isPattern(text: string): boolean {
  try {
    return parsePattern(text).length > 0
  } catch {
    return false
  }
}
