import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { ROOT, withNode } from './node.ts'

/**
 * Runs the tests on each version of Node that the packages are for, on the engine `ws`: `npm run test:node`, or with the files to be run,
 * `npm run test:node -- test/client`.
 */
const VERSIONS = ['22', '24']

function passesOn(version: string): boolean {
  const env = { ...withNode(version), FANFARE_TEST_ENGINES: 'ws' }
  process.stdout.write(`\nNode ${execFileSync('node', ['--version'], { env, encoding: 'utf8' })}`)
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs')
  const args = [vitest, 'run', '--config', 'test/vitest.config.ts', ...process.argv.slice(2)]
  return spawnSync('node', args, { cwd: ROOT, env, stdio: 'inherit' }).status === 0
}

const failed = VERSIONS.filter((version) => !passesOn(version))
process.stdout.write(
  failed.length === 0 ? `\nPassed on Node ${VERSIONS.join(' and ')}\n` : `\nFailed on Node ${failed}\n`,
)
process.exitCode = failed.length
