import { execFileSync, execSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { ROOT, withNode } from '../versions/node.ts'
import { startHub } from './hub.ts'
import { PROJECTS, type Project } from './projects.ts'

/**
 * Packs both packages and uses them as strangers do: each project in a fresh folder, from `npm install` to its first message. Prints what
 * that took, and the size of a client compared with others. Needs the npm registry. `npm run test:install -- Vite` runs those whose names begin so.
 */
const NODE = '22'
const work = mkdtempSync(join(tmpdir(), 'fanfare-install-'))
const env = { ...withNode(NODE), npm_config_audit: 'false', npm_config_fund: 'false', npm_config_loglevel: 'error' }
const [only = ''] = process.argv.slice(2)
const tarballs = { fanfare: pack(ROOT), '@fanfare/client': pack(join(ROOT, 'dist-client')) }

function pack(folder: string): string {
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', work]
  const [{ filename }] = JSON.parse(execFileSync('npm', args, { cwd: folder, encoding: 'utf8' }))
  return join(work, filename.replace('@', '').replace('/', '-'))
}

function run(command: string, cwd: string): string {
  return execSync(command, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 180_000 })
}

interface Installed {
  readonly folder: string
  readonly ms: number
  readonly packages: number
  readonly bytes: number
}

function install(name: string, packages: readonly string[], type = 'module'): Installed {
  const folder = join(work, name.replace(/\W+/g, '-'))
  mkdirSync(folder)
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type }))
  const begin = performance.now()
  run(`npm install ${packages.join(' ')}`, folder)
  const ms = performance.now() - begin
  const lock = JSON.parse(readFileSync(join(folder, 'node_modules/.package-lock.json'), 'utf8'))
  return { folder, ms, packages: Object.keys(lock.packages).length, bytes: sizeOf(join(folder, 'node_modules')) }
}

function sizeOf(folder: string): number {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((each) => each.isFile())
  return files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0)
}

/** Throws if the project does not get its first message. */
function use(project: Project, url: string): string {
  const begin = performance.now()
  const installed = install(project.name, [tarballs[project.of], ...(project.packages ?? [])], project.type)
  const { folder } = installed
  for (const [name, text] of Object.entries(project.files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text.replace('URL_OF_HUB', JSON.stringify(url)))
  }
  const output = project.commands.map((command) => run(command, folder)).join('')
  if (!output.includes('first message')) throw new Error(`It did not print its first message, but: ${output}`)
  const seconds = ((performance.now() - begin) / 1000).toFixed(1)
  const bundle = project.bundle ? kB(gzipSync(readFileSync(join(folder, project.bundle)), { level: 9 }).length) : ''
  return row(project.name, `${seconds} s`, String(installed.packages), MB(installed.bytes), bundle)
}

/** A package that is installed alone, and bundled for a page. */
async function weigh(name: string, what: string, code: string): Promise<string> {
  const { folder, ms, packages, bytes } = install(`alone ${name}`, [what])
  const options = { bundle: true, minify: true, format: 'esm', write: false, logLevel: 'error' } as const
  const bundle = code && (await build({ ...options, stdin: { contents: code, resolveDir: folder } })).outputFiles[0]
  const size = bundle ? kB(gzipSync(bundle.contents, { level: 9 }).length) : ''
  return row(name, `${(ms / 1000).toFixed(1)} s`, String(packages), MB(bytes), size)
}

function row(...cells: string[]): string {
  return `| ${cells.map((cell, at) => (at === 0 ? cell.padEnd(32) : cell.padStart(9))).join(' | ')} |\n`
}

function kB(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`
}

function MB(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}

const print = (text: string) => process.stdout.write(text)
const url = await startHub(env)
let failed = 0
print(`\nFrom install to first message, Node ${NODE}\n${row('project', 'time', 'packages', 'on disk', 'gzipped')}`)
for (const project of PROJECTS.filter(({ name }) => name.startsWith(only))) {
  try {
    print(use(project, url))
  } catch (error) {
    failed++
    const { message, stdout = '', stderr = '' } = error as Error & { stdout?: string; stderr?: string }
    print(`${project.name} FAILED: ${message}\n${stdout}\n${stderr}\n`)
  }
}
if (only === '') {
  const alone = [
    ['@fanfare/client', tarballs['@fanfare/client'], "export { connect } from '@fanfare/client'"],
    ['@fanfare/client/pubsub', tarballs['@fanfare/client'], "export { connect } from '@fanfare/client/pubsub'"],
    ['socket.io-client 4', 'socket.io-client@4', "export { io } from 'socket.io-client'"],
    ['centrifuge 5', 'centrifuge@5', "export { Centrifuge } from 'centrifuge'"],
    ['fanfare (server)', tarballs.fanfare, ''],
    ['socket.io 4 (server)', 'socket.io@4', ''],
  ] as const
  print(`\nInstalled alone, and bundled\n${row('package', 'time', 'packages', 'on disk', 'gzipped')}`)
  for (const [name, what, code] of alone) print(await weigh(name, what, code))
}
rmSync(work, { recursive: true })
process.exit(failed)
