import { readFileSync } from 'node:fs'
import { clientApiPage, serverApiPage } from './api.ts'
import { cliPage } from './cli.ts'
import { configurationPage } from './configuration.ts'
import { closeCodes, errorCodesPage } from './error-codes.ts'
import { metricsPage } from './metrics.ts'

/** What `npm run docs` writes: paths from the root, and functions that return the content. A test fails if a file differs. */
export const PAGES: Readonly<Record<string, () => string | Promise<string>>> = {
  'docs/reference/cli.md': cliPage,
  'docs/reference/client-api.md': clientApiPage,
  'docs/reference/configuration.md': configurationPage,
  'docs/reference/error-codes.md': errorCodesPage,
  'docs/reference/metrics.md': metricsPage,
  'docs/reference/server-api.md': serverApiPage,
  'PROTOCOL.md': () => withPart('PROTOCOL.md', 'close-codes', closeCodes()),
}

/** A page that is written by hand, with its generated part replaced: the lines between `<!-- NAME:begin -->` and `<!-- NAME:end -->`. */
function withPart(path: string, name: string, part: string): string {
  const page = readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
  const [before, after] = [`<!-- ${name}:begin -->\n`, `<!-- ${name}:end -->`]
  const start = page.indexOf(before)
  const end = page.indexOf(after)
  if (start < 0 || end < start) throw new Error(`${path} has no part ${name}`)
  return `${page.slice(0, start + before.length)}${part}\n${page.slice(end)}`
}
