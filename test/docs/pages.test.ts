import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Hub, startHub } from '../../server/index.ts'
import { launchBrowser } from '../setup/browser.ts'
import { PageRun, type World } from './page-run.ts'
import { Project } from './project.ts'
import { pagePaths, type Snippet, snippetsOf } from './snippets.ts'

/** `DOCS_PAGE=docs/streams.md` runs this page only; several are separated by commas. */
const ONLY = process.env['DOCS_PAGE']?.split(',')
const PAGES = pagePaths()
  .filter((page) => !ONLY || ONLY.includes(page))
  .map((page) => ({ page, snippets: snippetsOf(page) }))
/** How many pages run at the same time: half of the time a program waits for an answer. */
const AT_ONCE = 4
const LANGUAGES = [
  'ts',
  'js',
  'sh',
  'json',
  'html',
  'text',
  'mermaid',
  'yaml',
  'nginx',
  'ini',
  'dockerfile',
  'python',
  'console',
  'typescript',
]

interface Outcome {
  readonly promise: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

let hub: Hub
let browser: Promise<Browser> | undefined
let compiled: Promise<string>
const project = new Project('docs')
/** How each snippet went, and at its end each page. */
const outcomes = new Map<Snippet | string, Outcome>()

// All pages on one hub, as a reader has it who tries one after the other.
beforeAll(async () => {
  hub = await startHub({ port: 0, data: 'memory' })
  const world: World = { project, port: hub.port, browser: () => (browser ??= launchBrowser()) }
  const left = [...PAGES]
  for (const key of PAGES.flatMap(({ page, snippets }) => [page, ...snippets])) outcomes.set(key, outcome())
  const work = async () => {
    for (let next = left.shift(); next; next = left.shift()) await runPage(world, next)
  }
  for (let each = 0; each < AT_ONCE; each++) void work()
  compiled = project.compile(PAGES.flatMap(({ snippets }) => snippets).filter(({ language }) => language === 'ts'))
})

afterAll(async () => {
  await Promise.allSettled(Array.from(outcomes.values(), ({ promise }) => promise))
  await (await browser)?.close()
  await hub?.close()
  project.remove()
})

async function runPage(world: World, { page, snippets }: (typeof PAGES)[number]): Promise<void> {
  const run = new PageRun(world, page)
  for (const snippet of snippets) await settle(snippet, run.run(snippet))
  await settle(page, run.end())
}

function settle(key: Snippet | string, work: Promise<void>): Promise<void> {
  const { resolve, reject } = outcomes.get(key) as Outcome
  return work.then(resolve, reject)
}

function outcome(): Outcome {
  const made = {} as { -readonly [Key in keyof Outcome]: Outcome[Key] }
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }))
  // A test awaits it later.
  made.promise.catch(() => {})
  return made
}

describe.each(PAGES)('$page', ({ page, snippets }) => {
  it.each(snippets)('the $language of line $line does what the page says', { timeout: 120_000 }, (snippet) => {
    expect(LANGUAGES).toContain(snippet.language)
    return outcomes.get(snippet)?.promise
  })

  it('prints in the background what it says', { timeout: 120_000 }, () => outcomes.get(page)?.promise)
})

it('every program of a page compiles under strict options', { timeout: 120_000 }, async () => {
  expect(await compiled).toBe('')
})
