import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'

export const CHROMIUM = '/usr/bin/chromium'

/** Debian packages that tests need: a browser, a tool that makes certificates, what nodes meet in, and a compiler for the clock that it is given. */
const NEEDED = {
  chromium: CHROMIUM,
  openssl: '/usr/bin/openssl',
  'redis-server': '/usr/bin/redis-server',
  gcc: '/usr/bin/gcc',
}

/** Installs what the tests need from the system if it can; otherwise reports in one sentence what is missing. */
export default function setup(): void {
  const missing = Object.entries(NEEDED).flatMap(([name, path]) => (existsSync(path) ? [] : [name]))
  if (missing.length === 0) return
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    throw new Error(`The tests need more of the system: install Debian's packages ${missing.join(' and ')}.`)
  }
  process.stdout.write(`Installing Debian's ${missing.join(' and ')} for the tests\n`)
  execFileSync('apt-get', ['update', '-qq'], { stdio: 'inherit' })
  execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...missing], { stdio: 'ignore' })
}
