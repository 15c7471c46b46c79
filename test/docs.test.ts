import { existsSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { errorTable } from './setup/error-table.ts'
import { SERVER_LAYERS } from './setup/layers.ts'

it('PROTOCOL.md has the error table of the code', () => {
  const page = readFileSync(new URL('../PROTOCOL.md', import.meta.url), 'utf8')
  const table = /<!-- errors:begin -->\n([\s\S]*?)\n<!-- errors:end -->/.exec(page)?.[1]
  expect(table).toBe(errorTable())
})

it('each row of the attacks and faults names a test that is there', () => {
  const page = readFileSync(new URL('../docs/operations/faults.md', import.meta.url), 'utf8')
  // Behind it are figures.
  const [tables = ''] = page.split('## Faults at random')
  const rows = tables.split('\n').filter((line) => line.startsWith('| ') && !/^\| (attack|fault|---) \|/.test(line))
  const wrong = rows.filter((row) => {
    const [, file, title] = /`(test\/[^`]+)`: (.+) \|$/.exec(row) ?? []
    return !file || !title || !readFileSync(new URL(`../${file}`, import.meta.url), 'utf8').includes(title)
  })
  expect(rows.length).toBeGreaterThan(30)
  expect(wrong).toEqual([])
})

it('the guide says of each alarm what it means', () => {
  const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
  const alarms = Array.from(read('server/monitor/alerts.yaml').matchAll(/- alert: (\w+)/g), ([, name]) => name)
  const explained = Array.from(
    read('docs/operations/README.md').matchAll(/^\| `(Fanfare\w+)` \|/gm),
    ([, name]) => name,
  )
  expect(explained.toSorted()).toEqual(alarms.toSorted())
})

it('ARCHITECTURE.md has the floors that the imports are checked by, and names no path that is not there', () => {
  const page = readFileSync(new URL('../ARCHITECTURE.md', import.meta.url), 'utf8')
  const [, floors = ''] = page.split(/<!-- floors:(?:begin|end) -->/)
  const rows = floors.split('\n').filter((line) => line.startsWith('| `'))
  const named = (text: string) => Array.from(text.matchAll(/`([^`\n]+)`/g), ([, name]) => name as string)
  expect(rows.map((row) => named(row.split('|')[1] as string))).toEqual(SERVER_LAYERS)
  // Names that begin with the package's are its entries.
  const paths = named(page).filter((name) => /^(?!fanfare\/)[\w.-]+\/[\w./-]*$/.test(name))
  expect(paths.length).toBeGreaterThan(20)
  expect(paths.filter((path) => !existsSync(new URL(`../${path}`, import.meta.url)))).toEqual([])
})
