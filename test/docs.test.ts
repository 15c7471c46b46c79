import { existsSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { PAGES } from '../docs/generate/pages.ts'
import { checkConfig } from '../server/config.ts'
import { DEFAULTS } from '../server/defaults.ts'
import { LIMIT_HITS } from '../server/limit/limits.ts'
import { SERVER_LAYERS } from './setup/layers.ts'

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')

it.each(Object.keys(PAGES))('%s is as `npm run docs` writes it', async (path) => {
  expect(read(path)).toBe(await PAGES[path]?.())
})

it('each row of the attacks and faults names a test that is there', () => {
  const page = read('docs/operations/faults.md')
  // After it come figures.
  const [tables = ''] = page.split('## Random faults')
  const rows = tables.split('\n').filter((line) => line.startsWith('| ') && !/^\| (attack|fault|---) \|/.test(line))
  const wrong = rows.filter((row) => {
    const [, file, title] = /`(test\/[^`]+)`: (.+) \|$/.exec(row) ?? []
    return !file || !title || !read(file).includes(title)
  })
  expect(rows.length).toBeGreaterThan(30)
  expect(wrong).toEqual([])
})

it('the runbook has an entry for each alert, and an answer to whether it can wait', () => {
  const alerts = Array.from(read('server/monitor/alerts.yaml').matchAll(/- alert: (\w+)/g), ([, name]) => name)
  const runbook = read('docs/operations/runbook.md')
  const entries = Array.from(runbook.matchAll(/^## (Fanfare\w+)$/gm), ([, name]) => name)
  const waits = Array.from(runbook.matchAll(/^\| \[(Fanfare\w+)\]/gm), ([, name]) => name)
  expect(entries.toSorted()).toEqual(alerts.toSorted())
  expect(waits.toSorted()).toEqual(alerts.toSorted())
})

it('the limits of the guide are options of the hub, and every limit whose hits are counted is there', () => {
  const [, limits = ''] = read('docs/operations/sizing-and-limits.md').split('\n## Limits\n')
  const cells = Array.from(limits.matchAll(/^\| (`.+?) \|/gm), ([, cell = '']) => cell)
  const names = cells.flatMap((cell) => Array.from(cell.matchAll(/`(\w+)`/g), ([, name]) => name))
  // These are fixed.
  const fixed = Array.from(limits.matchAll(/\(`(\w+)`, fixed\)/g), ([, name]) => name)
  expect(names.filter((name) => !Object.hasOwn(DEFAULTS, name as string))).toEqual([])
  expect(LIMIT_HITS.filter((name) => ![...names, ...fixed].includes(name))).toEqual([])
})

it('the configuration in the example for Kubernetes is one that the hub takes', () => {
  const manifest = read('docs/operations/kubernetes.yaml')
  const config = /fanfare\.json: \|\n((?: {4}.*\n)+)/.exec(manifest)?.[1] as string
  expect(() => checkConfig(JSON.parse(config))).not.toThrow()
})

it('ARCHITECTURE.md has the layers that the imports are checked by, and names no path that is not there', () => {
  const page = read('ARCHITECTURE.md')
  const [, layers = ''] = page.split(/<!-- layers:(?:begin|end) -->/)
  const rows = layers.split('\n').filter((line) => line.startsWith('| `'))
  expect(rows.map((row) => named(row.split('|')[1] as string))).toEqual(SERVER_LAYERS)
  expect(pathsOf(page).length).toBeGreaterThan(20)
  expect(missing(pathsOf(page))).toEqual([])
})

it('CONTRIBUTING.md names paths and scripts that are there', () => {
  const page = read('CONTRIBUTING.md')
  const { scripts } = JSON.parse(read('package.json'))
  const run = Array.from(page.matchAll(/npm run ([\w:-]+)/g), ([, name]) => name as string)
  expect(missing(pathsOf(page))).toEqual([])
  expect(run.filter((name) => !Object.hasOwn(scripts, name))).toEqual([])
})

function named(text: string): string[] {
  return Array.from(text.matchAll(/`([^`\n]+)`/g), ([, name]) => name as string)
}

/** The paths that a page names. Names that begin with the package's are its entries. */
function pathsOf(page: string): string[] {
  return named(page).filter((name) => /^(?!fanfare\/)[\w.-]+\/[\w./-]*$/.test(name))
}

function missing(paths: readonly string[]): string[] {
  return paths.filter((path) => !existsSync(new URL(`../${path}`, import.meta.url)))
}
