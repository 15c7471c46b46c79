import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { publint } from 'publint'
import ts from 'typescript'
import { expect, it } from 'vitest'
import { HUB_ERRORS } from '../shared/hub-errors.ts'

interface Entry {
  readonly types: string
  readonly default: string
  readonly node?: Omit<Entry, 'node'>
}

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const BUNDLE = `${ROOT}dist/browser/fanfare.js`
/** A page waits for these before it connects: what adds to the client has to make room for itself. As `gzip -9` has it. */
const MAX_BUNDLE_BYTES = 20_200
const manifest = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as {
  exports: Record<string, Entry | string>
  bin: Record<string, string>
}

it('the package has what its entries name, its pages and its licence, and no sources', () => {
  const listing = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const [{ files }] = JSON.parse(listing) as [{ files: { path: string }[] }]
  const paths = files.map(({ path }) => path)
  const entries = Object.values(manifest.exports).flatMap((entry) =>
    typeof entry === 'string' ? [entry] : [entry.types, entry.default, ...Object.values(entry.node ?? {})],
  )
  const named = [...entries, ...Object.values(manifest.bin)].map((path) => path.replace('./', ''))
  const pages = ['LICENSE', 'README.md', 'PROTOCOL.md', 'package.json']
  const forPrometheus = ['server/monitor/alerts.yaml', 'server/monitor/grafana-dashboard.json']
  // What `fanfare bench` loads.
  const bench = ['dist/test/load/compare.js', 'dist/test/load/servers/plain-ws.js']
  expect(paths).toEqual(expect.arrayContaining([...named, ...pages, ...forPrometheus, ...bench]))
  expect(paths.filter((path) => !path.startsWith('dist/') && ![...pages, ...forPrometheus].includes(path))).toEqual([])
  expect(paths.filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'))).toEqual([])
  const map = JSON.parse(readFileSync(`${ROOT}dist/server/main.js.map`, 'utf8')) as { sourcesContent: string[] }
  expect(map.sourcesContent.join()).toContain('import ')
})

it.each([
  ['server', ['startHub', 'createHub', 'defineTopics']],
  ['client', ['connect', 'defineTopics', 'FanfareError']],
  ['testing', ['testHub']],
  ['opentelemetry', ['openTelemetry']],
  ['protocol', ['parseFrame', 'ERRORS']],
  ['browser', ['connect', 'FanfareError']],
])('fanfare/%s exports what its types say', async (name, exported) => {
  // By its own name, as a user has it.
  expect(await import(/* @vite-ignore */ `fanfare/${name}`)).toMatchObject(
    Object.fromEntries(exported.map((each) => [each, expect.anything()])),
  )
  expect((manifest.exports[`./${name}`] as Entry).types).toMatch(/^\.\/dist\/.*\.d\.ts$/)
})

it('fanfare itself is the client, which is what everyone tries first', async () => {
  expect(await import('fanfare')).toBe(await import('fanfare/client'))
})

it('the bundle for pages is not larger than its bound', () => {
  expect(gzipSync(readFileSync(BUNDLE), { level: 9 }).length).toBeLessThanOrEqual(MAX_BUNDLE_BYTES)
})

it('a client of fanfare/server is that of fanfare/client, with its errors', async () => {
  const [server, client] = await Promise.all([import('fanfare/server'), import('fanfare/client')])
  const hub = await server.createHub()
  const own = hub.connect()
  const remote = client.connect('ws://127.0.0.1:1')
  expect(own.constructor).toBe(remote.constructor)
  await remote.close()
  const refused = await own.admin.queues.show('none').catch((error: unknown) => error)
  expect(refused).toBeInstanceOf(client.FanfareError)
  expect(refused).toBeInstanceOf(server.FanfareError)
  await hub.close()
})

it('the bundle for pages has none of the texts that the hub sends', () => {
  const bundle = readFileSync(BUNDLE, 'utf8')
  const texts = Object.values(HUB_ERRORS).map(({ text }) => text)
  expect(texts.filter((text) => bundle.includes(text))).toEqual([])
})

it.each([
  ['the resolution of old', { module: ts.ModuleKind.CommonJS, moduleResolution: ts.ModuleResolutionKind.Node10 }],
  ['nodenext, in CommonJS', { module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext }],
  ['a bundler', { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler }],
])('a program finds the types of each entry with %s', (_, options) => {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-types-'))
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(ROOT, join(folder, 'node_modules/fanfare'))
  writeFileSync(join(folder, 'package.json'), '{}')
  const names = Object.keys(manifest.exports).filter((name) => name !== './package.json')
  const lines = names.map((name, at) => `import * as m${at} from '${name.replace('.', 'fanfare')}'\nvoid m${at}\n`)
  const use = `import { type Client, connect } from 'fanfare/client'
    import type { Client as OwnClient, Hub } from 'fanfare/server'
    const wrong: number = connect('ws://x')
    const own = (hub: Hub): Client<{ a: 1 }> & OwnClient<{ a: 1 }> => hub.connect<{ a: 1 }>()
    const wrongToo: number = own({} as Hub)
    void [wrong, wrongToo, (hub: Hub) => hub.connect<{ a: 1 }>({ subject: 'ann' }).publish('a', 2)]
  `
  const file = join(folder, 'app.ts')
  writeFileSync(file, lines.join('') + use)
  const program = ts.createProgram([file], {
    ...options,
    ignoreDeprecations: '6.0',
    noEmit: true,
    strict: true,
    skipLibCheck: true,
    target: ts.ScriptTarget.ES2022,
    types: [],
  })
  const wrong = ts.getPreEmitDiagnostics(program).map(({ code }) => code)
  // Types that were not found would be any, and nothing would be wrong with them.
  expect(wrong).toEqual([2322, 2322, 2345])
  rmSync(folder, { recursive: true })
})

it('publint has nothing against the package', async () => {
  const { messages } = await publint({ pkgDir: ROOT, pack: false, strict: true })
  // The package for clients has a folder in this one, and is not part of it.
  expect(messages.filter(({ code }) => code !== 'NESTED_PACKAGE_JSON_FIELD_IGNORED')).toEqual([])
})
