import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * Puts the package `@fanfare/client` together from what the build has made: the client, and what it takes of `shared`. It has no
 * dependencies, and its version and its owner are those of the package `fanfare`.
 */
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const DIST = join(ROOT, 'dist')
const TARGET = join(ROOT, 'dist-client')

/** Each entry, and the module that it is. */
const ENTRIES = {
  '.': 'client/index',
  './pubsub': 'client/pubsub',
  './file-store': 'client/file-store',
  './opentelemetry': 'client/opentelemetry',
}
/** The client as one file, for pages without a bundler. */
const BROWSER = 'browser/fanfare.js'

const own = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))

/** Every file that these load, for a program or for its types. */
function reachable(files: readonly string[], found = new Set<string>()): Set<string> {
  for (const file of files) {
    if (found.has(file)) continue
    found.add(file)
    const specifiers = readFileSync(join(DIST, file), 'utf8').matchAll(/(?:from|import)\s*\(?["'](\.[^"']+)["']/g)
    const own = file.endsWith('.d.ts') ? '.d.ts' : '.js'
    const next = [...specifiers].map(([, path = '']) => join(dirname(file), path).replace(/\.(js|ts)$/, own))
    reachable(next, found)
  }
  return found
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(join(TARGET, to)), { recursive: true })
  cpSync(from, join(TARGET, to))
}

function entry(module: string): object {
  return { types: `./${module}.d.ts`, default: `./${module}.js` }
}

const modules = Object.values(ENTRIES)
const files = reachable(modules.flatMap((module) => [`${module}.js`, `${module}.d.ts`]))
const { version, license, author, homepage, bugs, engines, publishConfig, repository } = own
const manifest = {
  name: '@fanfare/client',
  version,
  description:
    'The client of Fanfare, for browsers and Node: live topics, replayable streams and work queues over one WebSocket.',
  keywords: own.keywords,
  license,
  author,
  homepage,
  bugs,
  repository: repository && { ...repository, directory: 'client' },
  type: 'module',
  // They tag classes for Vue; every other module only defines.
  sideEffects: ['./client/index.js', './client/pubsub.js'],
  engines,
  exports: {
    ...Object.fromEntries(Object.entries(ENTRIES).map(([name, module]) => [name, entry(module)])),
    './browser': { types: './client/index.d.ts', default: `./${BROWSER}` },
    './package.json': './package.json',
  },
  typesVersions: {
    '*': Object.fromEntries(
      Object.entries({ ...ENTRIES, './browser': 'client/index' })
        .filter(([name]) => name !== '.')
        .map(([name, module]) => [name.slice(2), [`./${module}.d.ts`]]),
    ),
  },
  types: './client/index.d.ts',
  peerDependencies: { '@opentelemetry/api': own.peerDependencies['@opentelemetry/api'] },
  peerDependenciesMeta: { '@opentelemetry/api': { optional: true } },
  publishConfig,
}

rmSync(TARGET, { recursive: true, force: true })
for (const file of files) {
  copy(join(DIST, file), file)
  if (file.endsWith('.js')) copy(join(DIST, `${file}.map`), `${file}.map`)
}
copy(join(DIST, BROWSER), BROWSER)
copy(join(ROOT, 'LICENSE'), 'LICENSE')
copy(join(ROOT, 'client/npm/README.md'), 'README.md')
writeFileSync(join(TARGET, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`)
