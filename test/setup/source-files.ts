import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** What builds and other tests write; tests that run at the same time create it and remove it. */
const MADE = ['dist', 'output', 'node_modules']

/** The files of a folder and its folders, as paths from the root with slashes. */
export function sourceFiles(folder: string): string[] {
  return readdirSync(`${ROOT}/${folder}`, { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`
    if (!entry.isDirectory()) return [path]
    return MADE.includes(entry.name) ? [] : sourceFiles(path)
  })
}
