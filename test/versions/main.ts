import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * Runs the tests on each version of Node that the packages are for, on the engine `ws`: `npm run test:node`, or with the files to be run,
 * `npm run test:node -- test/client`. The registry has Node for Linux as a package.
 */
const VERSIONS = ['22', '24']
const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** The folder with the program `node` of a version. */
function folderOf(version: string): string {
  const cache = join(ROOT, 'node_modules/.cache/node', version)
  const name = `node-linux-${process.arch}`
  const bin = join(cache, 'node_modules', name, 'bin')
  if (!existsSync(join(bin, 'node'))) {
    mkdirSync(cache, { recursive: true })
    writeFileSync(join(cache, 'package.json'), '{}')
    execFileSync('npm', ['install', '--no-audit', '--no-fund', `${name}@${version}`], { cwd: cache, stdio: 'inherit' })
  }
  return bin
}

function passesOn(version: string): boolean {
  const PATH = `${folderOf(version)}${delimiter}${process.env['PATH']}`
  const env = { ...process.env, PATH, FANFARE_TEST_ENGINES: 'ws' }
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs')
  process.stdout.write(`\nNode ${execFileSync('node', ['--version'], { env, encoding: 'utf8' })}`)
  const args = [vitest, 'run', '--config', 'test/vitest.config.ts', ...process.argv.slice(2)]
  return spawnSync('node', args, { cwd: ROOT, env, stdio: 'inherit' }).status === 0
}

const failed = VERSIONS.filter((version) => !passesOn(version))
process.stdout.write(
  failed.length === 0 ? `\nPassed on Node ${VERSIONS.join(' and ')}\n` : `\nFailed on Node ${failed}\n`,
)
process.exitCode = failed.length
