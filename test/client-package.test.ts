import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { publint } from 'publint'
import { afterAll, expect, it } from 'vitest'
import { startHub } from '../server/index.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PACKAGE = join(ROOT, 'dist-client')
const manifestOf = (folder: string) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
const manifest = manifestOf(PACKAGE)

/** A folder in which this package is installed, and nothing else. */
const folder = mkdtempSync(join(tmpdir(), 'fanfare-client-package-'))
mkdirSync(join(folder, 'node_modules/@fanfare'), { recursive: true })
symlinkSync(PACKAGE, join(folder, 'node_modules/@fanfare/client'))
afterAll(() => rmSync(folder, { recursive: true }))

it('the package for clients has the version of the other one, all that its entries name, and no dependencies', async () => {
  const { version, engines, repository } = manifestOf(ROOT)
  expect(manifest).toMatchObject({ name: '@fanfare/client', version, engines, repository })
  expect(manifest).not.toHaveProperty('dependencies')
  const { './package.json': _, ...entries } = manifest.exports
  const named = Object.values(entries as Record<string, object>).flatMap((entry) => Object.values(entry))
  expect(named.filter((path) => !existsSync(join(PACKAGE, path)))).toEqual([])
  const { messages } = await publint({ pkgDir: PACKAGE, pack: false, strict: true })
  expect(messages).toEqual([])
})

it.each([
  ['@fanfare/client', 20_300],
  ['@fanfare/client/pubsub', 16_000],
])('a page that bundles %s loads no more than %i bytes for it', async (name, most) => {
  const { outputFiles } = await build({
    stdin: { contents: `export { connect } from '${name}'`, resolveDir: folder },
    bundle: true,
    minify: true,
    format: 'esm',
    write: false,
  })
  expect(gzipSync(outputFiles[0]?.contents ?? '', { level: 9 }).length).toBeLessThanOrEqual(most)
})

it('it loads what every platform has, but for the entries that name another one', () => {
  const files = readdirSync(PACKAGE, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.js'))
  const others = files.filter((file) => / from ["'][^.]/.test(readFileSync(join(PACKAGE, file), 'utf8')))
  expect(others.sort()).toEqual(['client/file-store.js', 'client/opentelemetry.js'])
})

it.each([
  ['an ES module', 'module', "import { connect, FanfareError } from '@fanfare/client'"],
  ['CommonJS', 'commonjs', "const { connect, FanfareError } = require('@fanfare/client')"],
  ['a small ES module', 'module', "import { connect, FanfareError } from '@fanfare/client/pubsub'"],
])('a program that is %s publishes and receives with it', async (_, type, line) => {
  const hub = await startHub({ port: 0 })
  const program = `${line}
    const { WebSocket = require('${join(ROOT, 'node_modules/ws')}') } = globalThis
    const client = connect('ws://127.0.0.1:${hub.port}', { WebSocket })
    client.subscribe('greetings', ({ data }) => {
      console.log(data, FanfareError.name)
      client.close()
    }).ready.then(() => client.publish('greetings', 'hello'))`
  // Node 20 has no WebSocket of its own, and `require` in CommonJS only.
  const code =
    type === 'module'
      ? `import { createRequire } from 'node:module'\nconst require = createRequire('/')\n${program}`
      : program
  const args = ['--no-warnings', `--input-type=${type}`, '--eval', code]
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder, timeout: 20_000 })
  expect(stdout).toBe('hello FanfareError\n')
  await hub.close()
})
