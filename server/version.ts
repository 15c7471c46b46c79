import { createRequire } from 'node:module'

export const { version } = createRequire(import.meta.url)('fanfare/package.json') as { version: string }
