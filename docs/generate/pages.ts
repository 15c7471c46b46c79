import { cliPage } from './cli.ts'

/** The generated pages, and what makes the text of each. */
export const PAGES: Readonly<Record<string, () => string>> = {
  'docs/reference/cli.md': cliPage,
}
