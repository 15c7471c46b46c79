import { readFileSync } from 'node:fs'

/** The fenced examples of a page in this language, to the letter. */
export function examples(page: 'README.md' | 'PROTOCOL.md', language: string): string[] {
  const text = readFileSync(new URL(`../../${page}`, import.meta.url), 'utf8')
  return [...text.matchAll(/^```(.*)\n([\s\S]*?)^```/gm)].flatMap(([, fence, code]) =>
    fence === language ? [code as string] : [],
  )
}
