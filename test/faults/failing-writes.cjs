// On a signal, the next write of the page that makes a commit of LMDB count fails: nothing can be written to the file that LMDB
// has open for these pages alone, until it opens the file again.
const { closeSync, openSync, readdirSync, readFileSync, readlinkSync } = require('node:fs')
const O_DSYNC = 0o10000

process.on('SIGUSR2', () => {
  for (const name of readdirSync('/proc/self/fd')) {
    if (!isOfDatabase(name) || !(flagsOf(name) & O_DSYNC)) continue
    closeSync(Number(name))
    // It takes the number that is free now.
    openSync('/dev/null', 'r')
    process.stderr.write('writes fail\n')
  }
})

function isOfDatabase(name) {
  try {
    return readlinkSync(`/proc/self/fd/${name}`).endsWith('/data.mdb')
  } catch {
    return false
  }
}

function flagsOf(name) {
  const info = readFileSync(`/proc/self/fdinfo/${name}`, 'utf8')
  return Number.parseInt(/^flags:\s+(\d+)/m.exec(info)?.[1] ?? '0', 8)
}
