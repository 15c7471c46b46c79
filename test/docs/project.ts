import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { OwnProcess } from '../setup/own-process.ts'
import { PACKAGE, type Snippet } from './snippets.ts'

/** Flags of a page's programs for the compiler: as strict as a careful user is. */
const STRICT = ['--strict', '--noUncheckedIndexedAccess', '--exactOptionalPropertyTypes', '--skipLibCheck']
const TARGET = [
  '--module',
  'nodenext',
  '--target',
  'es2023',
  '--lib',
  'es2023,esnext.disposable,dom',
  '--types',
  'node',
]

/**
 * A project in which the package is installed, inside of the package, whose dependencies it finds there. In the package itself `npx` would
 * first build an installation of its own, and take `dist` away from the tests that run meanwhile.
 */
export class Project {
  private readonly folder: string

  constructor(name: string) {
    this.folder = join(PACKAGE, 'test/output', name)
    rmSync(this.folder, { recursive: true, force: true })
    mkdirSync(join(this.folder, 'node_modules/.bin'), { recursive: true })
    writeFileSync(join(this.folder, 'package.json'), '{"type": "module"}')
    symlinkSync(PACKAGE, join(this.folder, 'node_modules/fanfare'))
    mkdirSync(join(this.folder, 'node_modules/@fanfare'))
    symlinkSync(join(PACKAGE, 'dist-client'), join(this.folder, 'node_modules/@fanfare/client'))
    symlinkSync('../fanfare/dist/server/main.js', join(this.folder, 'node_modules/.bin/fanfare'))
    // Where a page says npx, what it names is installed.
    writeFileSync(join(this.folder, 'node_modules/.bin/npx'), '#!/bin/sh\nexec "$@"\n', { mode: 0o755 })
  }

  /** A folder of its own for each page. */
  folderOf(page: string): string {
    const folder = join(this.folder, page.replaceAll('/', '-').replace(/\.md$/, ''))
    mkdirSync(folder, { recursive: true })
    return folder
  }

  /** Where a shell finds the commands of the package and of its dependencies. */
  get path(): string {
    const bins = [this.folder, PACKAGE].map((folder) => join(folder, 'node_modules/.bin'))
    return [...bins, process.env['PATH']].join(':')
  }

  /** What the compiler has against the TypeScript of these pages, all at once: reading declarations is what takes the time. */
  async compile(snippets: readonly Snippet[]): Promise<string> {
    const files = snippets.map((snippet) => {
      const folder = join(this.folderOf(snippet.page), 'types')
      mkdirSync(folder, { recursive: true })
      const file = join(folder, `line-${snippet.line}.ts`)
      // A module, also if it imports nothing.
      writeFileSync(file, `${snippet.code}\nexport {}\n`)
      return file
    })
    if (files.length === 0) return ''
    const tsc = join(PACKAGE, 'node_modules/.bin/tsc')
    const args = [tsc, '--noEmit', '--ignoreConfig', '--pretty', 'false', ...STRICT, ...TARGET, ...files]
    const compiler = new OwnProcess(process.execPath, args, {}, this.folder)
    await compiler.exit
    return compiler.stdout + compiler.stderr
  }

  remove(): void {
    if (existsSync(this.folder)) rmSync(this.folder, { recursive: true })
  }
}

/** The program as JavaScript: its types are checked elsewhere. */
export function withoutTypes(code: string): string {
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023, verbatimModuleSyntax: true }
  return ts.transpileModule(code, { compilerOptions }).outputText
}
