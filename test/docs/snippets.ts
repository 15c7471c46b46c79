import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const PACKAGE = fileURLToPath(new URL('../..', import.meta.url))

/** A fenced block of a page. What a word after its language means is said in `test/docs/README.md`. */
export interface Snippet {
  /** Path of the page, from the root of the package. */
  readonly page: string
  /** Line of its opening fence, from 1. */
  readonly line: number
  readonly language: string
  readonly flags: ReadonlySet<string>
  /** The name that it is saved under: `file=worker.ts`. */
  readonly file: string | undefined
  readonly code: string
  /** What it prints: the `text` block that follows it. */
  readonly output: string | undefined
}

const FENCE = /^([ \t]*)```(.*)\n([\s\S]*?)^\1```[ \t]*$/gm

/** Paths of all pages that have snippets, the README first. */
export function pagePaths(): string[] {
  const docs = readdirSync(join(PACKAGE, 'docs'), { recursive: true, encoding: 'utf8' })
  const pages = docs.filter((name) => name.endsWith('.md')).map((name) => `docs/${name.replaceAll('\\', '/')}`)
  return ['README.md', 'PROTOCOL.md', ...pages.toSorted()]
}

export function readPage(page: string): string {
  return readFileSync(join(PACKAGE, page), 'utf8')
}

/** All snippets of a page but those that are output of another, and the dialogues of PROTOCOL.md, which have no language. */
export function snippetsOf(page: string): Snippet[] {
  const text = readPage(page)
  const blocks = Array.from(text.matchAll(FENCE), (match) => {
    const [whole, indent, info, code] = match as unknown as [string, string, string, string]
    const [language = '', ...words] = info.trim().split(/\s+/)
    const file = words.find((word) => word.startsWith('file='))?.slice('file='.length)
    return {
      line: text.slice(0, match.index).split('\n').length,
      language,
      flags: new Set(words.filter((word) => !word.startsWith('file='))),
      file,
      code: code.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
      start: match.index,
      end: match.index + whole.length,
    }
  })
  return blocks.flatMap(({ start, end, ...block }, at) => {
    const next = blocks[at + 1]
    const [before, own] = [blocks[at - 1], block.language === 'text']
    if (page === 'PROTOCOL.md' && block.language === '') return []
    if (own && before && isGap(text.slice(before.end, start))) return []
    const output = next?.language === 'text' && isGap(text.slice(end, next.start)) ? next.code : undefined
    return [{ page, ...block, output }]
  })
}

/** A `text` block right after another block is its output. */
function isGap(between: string): boolean {
  return between.trim() === ''
}
