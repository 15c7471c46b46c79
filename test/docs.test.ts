import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { errorTable } from './setup/error-table.ts'

it('PROTOCOL.md has the error table of the code', () => {
  const page = readFileSync(new URL('../PROTOCOL.md', import.meta.url), 'utf8')
  const table = /<!-- errors:begin -->\n([\s\S]*?)\n<!-- errors:end -->/.exec(page)?.[1]
  expect(table).toBe(errorTable())
})
