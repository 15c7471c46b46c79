import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Access } from '../../server/auth/access.ts'
import { fill } from '../../server/auth/permissions.ts'
import { FanfareError } from '../../shared/errors.ts'
import { isCovered, matchesPattern, parsePattern } from '../../shared/topic.ts'

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

it('a claim is refused, or is one word and opens what begins with it alone', () => {
  let filled = 0
  fc.assert(
    fc.property(claim, fc.array(plain, { maxLength: 3 }), (subject, rest) => {
      let who: Access
      try {
        who = access(subject)
      } catch (error) {
        expect(error).toBeInstanceOf(FanfareError)
        expect((error as FanfareError).code).toBe('unauthenticated')
        return
      }
      filled++
      expect(who.may('publish', ['u', subject, ...rest].join('.'))).toBe(true)
      for (const other of ['bob', '*', '#', 'bob.a', `${subject}x`, `x${subject}`]) {
        if (other === subject || other.startsWith(`${subject}.`)) continue
        expect(who.may('subscribe', ['u', other, ...rest].join('.'))).toBe(false)
      }
      for (const wide of ['#', 'u.#', 'u.*', 'u', '*.#', '$sys.#']) expect(who.may('subscribe', wide)).toBe(false)
    }),
    { numRuns: 2000 },
  )
  expect(filled).toBeGreaterThan(50)
})

it.each(['#', '*', '', 'a.b', '$sys', 'a b', 'a#', '${sub}', 'é', 'a\n', '..'])(
  'the subject %j is refused',
  (subject) => {
    expect(() => access(subject)).toThrow(FanfareError)
  },
)

it.each([[null], [true], [{}], [['a']], [1.5], [Number.NaN]])('the claim %j is refused', (value) => {
  expect(() => fill({ publish: ['t.${tenant}'] }, { tenant: value })).toThrow(/tenant/)
})

it('a claim that is missing permits nothing, inherited ones included', () => {
  for (const name of ['tenant', 'constructor', '__proto__', 'toString']) {
    expect(fill({ publish: [`t.\${${name}}`, 'x'] }, {}).publish).toEqual(['x'])
  }
})
