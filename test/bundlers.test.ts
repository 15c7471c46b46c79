import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Hub, startHub } from '../server/index.ts'
import { esbuild, from } from './setup/esbuild.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** As much of it as is used. It comes with vite. */
interface Rolldown {
  build(options: object): Promise<unknown>
}
const rolldown = (await import(from('vite').resolve('rolldown'))) as Rolldown

const PROGRAM = `
  import { connect, FanfareError } from 'fanfare/client'
  const client = connect(process.argv[2], { name: 'x'.repeat(100) })
  const got = new Promise((resolve) => client.subscribe('t', ({ data }) => resolve(data)))
  start(async () => {
    await client.publish('t', Uint8Array.from({ length: 5000 }, (_, at) => at))
    console.log((await got).length, new FanfareError('client_closed').code)
    await client.close()
  })
  function start(run) { run().catch((error) => { console.error(error); process.exit(1) }) }
`

let hub: Hub
let source: string
let output: string
beforeAll(async () => {
  hub = await startHub({ port: 0 })
  source = mkdtempSync(join(tmpdir(), 'fanfare-source-'))
  // Without a node_modules above it: what is not in the bundle is missed.
  output = mkdtempSync(join(tmpdir(), 'fanfare-output-'))
  mkdirSync(join(source, 'node_modules'))
  symlinkSync(ROOT, join(source, 'node_modules/fanfare'))
  writeFileSync(join(source, 'app.mjs'), PROGRAM)
})
afterAll(async () => {
  await hub.close()
  for (const path of [source, output]) rmSync(path, { recursive: true })
})

const run = async (file: string) =>
  (await promisify(execFile)(process.execPath, [join(output, file), `ws://127.0.0.1:${hub.port}`])).stdout.trim()

it.each([
  ['esm', 'mjs'],
  ['cjs', 'cjs'],
])('a service that esbuild has bundled as %s runs without node_modules', async (format, ending) => {
  const file = `esbuild.${ending}`
  await esbuild.build({
    entryPoints: [join(source, 'app.mjs')],
    bundle: true,
    platform: 'node',
    format,
    outfile: join(output, file),
    logLevel: 'error',
  })
  expect(await run(file)).toBe('5000 client_closed')
})

it.each([
  ['es', 'mjs'],
  ['cjs', 'cjs'],
])('a service that rolldown has bundled as %s runs without node_modules', async (format, ending) => {
  const file = `rolldown.${ending}`
  await rolldown.build({
    input: join(source, 'app.mjs'),
    platform: 'node',
    logLevel: 'silent',
    output: { file: join(output, file), format },
  })
  expect(await run(file)).toBe('5000 client_closed')
})
