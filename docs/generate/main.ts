/** `npm run docs`: writes the pages of the reference that are made from the code. `test/docs/generated.test.ts` fails if one is stale. */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PAGES } from './pages.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

for (const [path, make] of Object.entries(PAGES)) {
  await mkdir(dirname(join(ROOT, path)), { recursive: true })
  await writeFile(join(ROOT, path), make())
}
