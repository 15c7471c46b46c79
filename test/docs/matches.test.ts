import { expect, it } from 'vitest'
import { begins, matches } from './matches.ts'

it.each([
  ['one\ntwo\n', 'one\ntwo\n', true],
  ['one\ntwo\n', 'one\n', false],
  ['one\n', 'one\ntwo\n', false],
  ['a.b\n', 'a.b\n', true],
  ['axb\n', 'a.b\n', false],
  ['at 1795551\n', 'at 17…\n', true],
  ['{"id":"x-1","n":2}\n', '{"id":"x…","n":2}\n', true],
  ['{"id":"x-1","n":3}\n', '{"id":"x…","n":2}\n', false],
  ['before one after\n', '…one…\n', true],
  ['one\ntwo\nthree\nfour\n', 'one\n…\nfour\n', true],
  ['one\ntwo\nthree\nfive\n', 'one\n…\nfour\n', false],
  ['one  \n', 'one\n', true],
])('what is printed as %j is what a page says as %j: %j', (printed, expected, is) => {
  expect(matches(printed, expected)).toBe(is)
})

it('what runs in the background may print more later', () => {
  expect(begins('one\ntwo\n', 'one\n')).toBe(true)
  expect(begins('o', 'one\n')).toBe(false)
  expect(begins('two\none\n', 'one\n')).toBe(false)
})
