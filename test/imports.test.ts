import { existsSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { SERVER_LAYERS } from './setup/layers.ts'
import { sourceFiles } from './setup/source-files.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** What the dashboard is bundled with. */
const PAGE_PACKAGES = ['lit', 'uplot']

/** A file fits on a few screens. */
const MAX_LINES = 400

/** What may know the embedded broker by its classes: how it is put under test, and tests of how it stores what. */
const KNOW_EMBEDDED = [
  'test/setup/embedded.ts',
  'test/setup/lasting-store.ts',
  'test/setup/lmdb-data.ts',
  // Data as earlier versions left it, and as a disk damages it.
  'test/setup/earlier-hub.ts',
  'test/faults/damaged-block.test.ts',
  'test/faults/older-ids.test.ts',
  'test/property/store-keys.test.ts',
  'test/property/stored-block.test.ts',
  // A hub in memory, for users: they do not choose its broker.
  'test/kit/test-hub.ts',
]

interface Import {
  /** Paths from the root, with slashes. */
  readonly from: string
  /** A path of the same kind, or the name of a package. */
  readonly to: string
  readonly isFile: boolean
  /** When the module is loaded, and not later by `import()`. */
  readonly isStatic: boolean
  /** The compiler erases it. */
  readonly isType: boolean
}

const files = ['shared', 'client', 'server', 'test/kit', 'demo'].flatMap(sources)
const imports = files.flatMap(importsOf)

it('no file is longer than a few screens', () => {
  const all = ['shared', 'client', 'server', 'demo', 'test'].flatMap(sourceFiles)
  const long = all.filter((file) => /\.[mc]?[tj]sx?$/.test(file) && linesOf(file) > MAX_LINES)
  expect(long).toEqual([])
})

describe('imports run one way', () => {
  it('shared uses nothing but itself', () => {
    const allowed = ({ to, isFile }: Import) => isFile && inside(to, 'shared')
    expect(offenders('shared', allowed)).toEqual([])
  })

  it('client uses only shared; its parts for Node also ws and the file system, for traces OpenTelemetry', () => {
    const forNode = ['client/node.ts', 'client/file-store.ts']
    const forTraces = 'client/opentelemetry.ts'
    const allowed = ({ from, to, isFile }: Import) =>
      isFile
        ? inside(to, 'client') || inside(to, 'shared')
        : (forNode.includes(from) && (to === '#ws' || to.startsWith('node:'))) ||
          (from === forTraces && to === '@opentelemetry/api')
    const rest = offenders('client', allowed).filter(
      (line) => !/^client\/((ws\/)?vite\.config|npm\/build)\.ts /.test(line),
    )
    expect(rest).toEqual([])
    const others = imports.filter(
      ({ from, to }) => inside(from, 'client') && !forNode.includes(from) && forNode.includes(to),
    )
    expect(others).toEqual([])
  })

  it('the test kit uses client, server and shared, and nothing uses it', () => {
    const allowed = ({ to, isFile }: Import) =>
      !isFile || ['test/kit', 'client', 'server', 'shared'].some((folder) => inside(to, folder))
    expect(offenders('test/kit', allowed)).toEqual([])
    expect(imports.filter(({ from, to }) => inside(to, 'test/kit') && !inside(from, 'test/kit'))).toEqual([])
  })

  it('demo uses only what the package exports', () => {
    const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { exports: object }
    const exported = Object.keys(exports).map((entry) => entry.replace('.', 'fanfare'))
    const allowed = ({ to, isFile }: Import) =>
      isFile ? inside(to, 'demo') : !to.startsWith('fanfare') || exported.includes(to)
    expect(offenders('demo', allowed)).toEqual([])
  })

  it('the dashboard is a page: it uses client and shared, and nothing of the server', () => {
    const allowed = ({ to, isFile }: Import) =>
      isFile
        ? ['server/dashboard', 'client', 'shared'].some((folder) => inside(to, folder))
        : PAGE_PACKAGES.includes(to)
    const rest = offenders('server/dashboard', allowed)
    expect(rest.filter((line) => !line.startsWith('server/dashboard/vite.config.ts '))).toEqual([])
  })

  it('server uses shared, its commands and what gives out clients in its process the client too, and load code only when it is asked for', () => {
    const allowed = ({ from, to, isFile, isStatic }: Import) =>
      !isFile ||
      inside(to, 'server') ||
      inside(to, 'shared') ||
      (['server/dashboard', 'server/in-process'].some((folder) => inside(from, folder)) && inside(to, 'client')) ||
      (inside(from, 'server/cli') && (inside(to, 'client') || (!isStatic && inside(to, 'test/load'))))
    expect(offenders('server', allowed)).toEqual([])
  })

  it('inside server the layers are kept', () => {
    const unplaced = files.filter((file) => inside(file, 'server') && layer(file) < 0)
    expect(unplaced, 'a new folder needs its place in SERVER_LAYERS').toEqual([])
    const upwards = ({ from, to }: Import) => inside(to, 'server') && layer(to) < layer(from)
    expect(offenders('server', (each) => !upwards(each))).toEqual([])
  })

  it('the rules that all brokers share know no store and no broker, only the contract', () => {
    const pure = ['node:buffer', 'node:crypto']
    const allowed = ({ to, isFile }: Import) =>
      isFile
        ? inside(to, 'shared') || inside(to, 'server/broker/rules') || to === 'server/broker/broker.ts'
        : pure.includes(to)
    expect(offenders('server/broker/rules', allowed)).toEqual([])
  })

  it('suites for brokers know the contract, and one file how the embedded broker is put under test', () => {
    const tests = sources('test').concat(testFiles('test'))
    const offending = tests
      .flatMap(importsOf)
      .filter(({ from, to }) => inside(to, 'server/broker/embedded') && !KNOW_EMBEDDED.includes(from))
    expect(offending.map(({ from, to }) => `${from} imports ${to}`)).toEqual([])
  })

  it('what needs an optional package is loaded by import()', () => {
    const { peerDependencies, optionalDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      peerDependencies: object
      optionalDependencies: object
    }
    const optional = Object.keys({
      ...peerDependencies,
      ...optionalDependencies,
      'uWebSockets.js': 'installed by users themselves',
    })
    const needy = new Set(imports.filter(({ to, isType }) => !isType && optional.includes(to)).map(({ from }) => from))
    // The one for traces is an entry of the package, imported by those who have OpenTelemetry and by nothing else.
    expect([...needy]).toEqual(expect.arrayContaining(['server/engine/uws-engine.ts', 'client/opentelemetry.ts']))
    expect(imports.filter(({ to, isStatic, isType }) => isStatic && !isType && needy.has(to))).toEqual([])
  })

  it('and in no circle, types included', () => {
    expect(circles()).toEqual([])
  })
})

function testFiles(folder: string): string[] {
  return sourceFiles(folder).filter((name) => name.endsWith('.test.ts'))
}

function sources(folder: string): string[] {
  // A folder of the design may not be there yet.
  if (!existsSync(join(ROOT, folder))) return []
  return sourceFiles(folder).filter((name) => /\.[mc]?tsx?$/.test(name) && !name.endsWith('.test.ts'))
}

/** The import and export statements of a file, `import()` and types included, as the compiler sees them. */
function importsOf(from: string): Import[] {
  const source = ts.createSourceFile(from, readFileSync(join(ROOT, from), 'utf8'), ts.ScriptTarget.Latest, true)
  const found: Import[] = []
  const add = (specifier: ts.Node | undefined, isStatic: boolean, isType = false) => {
    if (!specifier || !ts.isStringLiteralLike(specifier)) return
    const isFile = specifier.text.startsWith('.')
    const to = isFile ? slashes(relative(ROOT, join(ROOT, dirname(from), specifier.text))) : packageOf(specifier.text)
    found.push({ from, to, isFile, isStatic, isType })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, true, node.importClause?.isTypeOnly)
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, true, node.isTypeOnly)
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, true)
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      add(node.arguments[0], false)
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

/** `ws` of `ws/wrapper.mjs`; all of a Node module and of this package's own entries. */
function packageOf(specifier: string): string {
  if (specifier.startsWith('node:') || builtinModules.includes(specifier)) return specifier
  if (specifier.startsWith('fanfare/')) return specifier
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
}

function offenders(folder: string, allowed: (each: Import) => boolean): string[] {
  return imports
    .filter((each) => inside(each.from, folder) && !allowed(each))
    .map(({ from, to }) => `${from} imports ${to}`)
}

function linesOf(file: string): number {
  return readFileSync(join(ROOT, file), 'utf8').split('\n').length - 1
}

function inside(file: string, folder: string): boolean {
  return file.startsWith(`${folder}/`)
}

function layer(file: string): number {
  return SERVER_LAYERS.findIndex((names) => names.includes(file.split('/')[1] as string))
}

/** Each circle of static imports once, as the files along it. */
function circles(): string[] {
  const targets = (file: string) => imports.filter(({ from, isFile, isStatic }) => from === file && isFile && isStatic)
  const done = new Set<string>()
  const found: string[] = []
  const walk = (file: string, path: readonly string[]): void => {
    const at = path.indexOf(file)
    if (at >= 0) found.push([...path.slice(at), file].join(' → '))
    if (at >= 0 || done.has(file)) return
    for (const { to } of targets(file)) walk(to, [...path, file])
    done.add(file)
  }
  for (const file of files) walk(file, [])
  return found
}

function slashes(path: string): string {
  return path.replaceAll('\\', '/')
}
