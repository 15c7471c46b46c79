import { mkdirSync, writeFileSync } from 'node:fs'
import { PAGES } from './pages.ts'

for (const [path, content] of Object.entries(PAGES)) {
  const file = new URL(`../../${path}`, import.meta.url)
  mkdirSync(new URL('.', file), { recursive: true })
  writeFileSync(file, await content())
}
