import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { PAGES } from '../../docs/generate/pages.ts'

it.each(Object.entries(PAGES))('%s is what "npm run docs" writes', (path, make) => {
  expect(readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')).toBe(make())
})
