import { expect, it } from 'vitest'
import { shell } from './setup/command.ts'

// Beside the other tests, and not before them: each of these has one core to itself and leaves the other idle.
it.each(['lint', 'typecheck'])(
  'npm run %s has nothing to say',
  async (script) => {
    const check = shell(`npm run --silent ${script}`)
    expect(await check.exit, `${check.stdout}${check.stderr}`).toBe(0)
  },
  600_000,
)
