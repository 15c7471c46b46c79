import { expect, it } from 'vitest'
import { shell } from './setup/command.ts'

// Alongside the other tests and not before them: each of these uses one core and would leave the other idle.
it.each(['lint', 'typecheck'])(
  'npm run %s has nothing to say',
  async (script) => {
    const check = shell(`npm run --silent ${script}`)
    expect(await check.exit, `${check.stdout}${check.stderr}`).toBe(0)
  },
  600_000,
)
