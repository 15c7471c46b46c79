import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

const SOURCE = fileURLToPath(new URL('movable-clock.c', import.meta.url))

/** The clock of a process of another program, which a test can set while it runs. Its timers are not concerned, as when an operator or NTP sets a clock. */
export class MovableClock {
  readonly env: NodeJS.ProcessEnv
  private readonly file: number

  /** `byMs`: how far it is ahead of the machine's clock. */
  constructor(byMs = 0) {
    const folder = mkdtempSync(join(tmpdir(), 'fanfare-clock-'))
    const [library, path] = [join(folder, 'clock.so'), join(folder, 'clock')]
    execFileSync('gcc', ['-shared', '-fPIC', '-nostdlib', '-O1', '-fno-builtin', '-o', library, SOURCE])
    this.file = openSync(path, 'w')
    this.set(byMs)
    this.env = { LD_PRELOAD: library, MOVABLE_CLOCK: path }
    onTestFinished(() => {
      closeSync(this.file)
      rmSync(folder, { recursive: true, force: true })
    })
  }

  set(byMs: number): void {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(BigInt(byMs))
    writeSync(this.file, bytes, 0, 8, 0)
  }
}
