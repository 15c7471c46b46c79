import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** The environment in which `node` is that of a version. The registry has Node for Linux as a package; it is fetched once. */
export function withNode(version: string): NodeJS.ProcessEnv {
  const cache = join(ROOT, 'node_modules/.cache/node', version)
  const name = `node-linux-${process.arch}`
  const bin = join(cache, 'node_modules', name, 'bin')
  if (!existsSync(join(bin, 'node'))) {
    mkdirSync(cache, { recursive: true })
    writeFileSync(join(cache, 'package.json'), '{}')
    execFileSync('npm', ['install', '--no-audit', '--no-fund', `${name}@${version}`], { cwd: cache, stdio: 'inherit' })
  }
  return { ...process.env, PATH: `${bin}${delimiter}${process.env['PATH']}` }
}
