import { execFileSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { expect, it } from 'vitest'
import { PACKAGE, pagePaths, readPage } from './snippets.ts'

/** All pages of the repository, and what they link to: `[text](target)`, `<img src="target">`. */
const PAGES = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
  cwd: PACKAGE,
  encoding: 'utf8',
})
  .split('\n')
  .filter((page) => page !== '' && existsSync(join(PACKAGE, page)))
const LINK = /\]\(([^)\s]+)(?: "[^"]*")?\)|\b(?:src|href)="([^"]+)"/g

it.each(PAGES)('links of %s resolve', (page) => {
  const links = Array.from(withoutCode(readPage(page)).matchAll(LINK), ([, link, source]) => link ?? source ?? '')
  expect(links.filter((link) => !/^[a-z]+:/i.test(link) && !resolves(page, link))).toEqual([])
})

it('the index of the documentation names every page', () => {
  const index = readPage('docs/README.md')
  const pages = pagePaths().filter((page) => page.startsWith('docs/') && page !== 'docs/README.md')
  expect(pages.map((page) => relative('docs', page)).filter((page) => !index.includes(`(${page})`))).toEqual([])
})

function resolves(page: string, link: string): boolean {
  const [path = '', anchor] = link.split('#')
  const target = path === '' ? page : join(dirname(page), decodeURIComponent(path))
  if (!existsSync(join(PACKAGE, target))) return false
  if (anchor === undefined) return true
  return statSync(join(PACKAGE, target)).isFile() && anchorsOf(target).has(anchor)
}

/** The anchors that GitHub gives a page's headings, and those that it has of its own. */
function anchorsOf(page: string): Set<string> {
  const text = withoutCode(readPage(page))
  const anchors = new Set(Array.from(text.matchAll(/<a (?:id|name)="([^"]+)"/g), ([, name]) => name as string))
  const seen = new Map<string, number>()
  for (const [, heading] of text.matchAll(/^#{1,6} +(.+?) *#*$/gm)) {
    const slug = slugOf(heading as string)
    const count = seen.get(slug) ?? 0
    seen.set(slug, count + 1)
    anchors.add(count === 0 ? slug : `${slug}-${count}`)
  }
  return anchors
}

function slugOf(heading: string): string {
  const text = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/`/g, '')
  return text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\p{M}\p{Pc} -]/gu, '')
    .replaceAll(' ', '-')
}

function withoutCode(text: string): string {
  return text.replace(/^([ \t]*)```.*\n[\s\S]*?^\1```/gm, '')
}
