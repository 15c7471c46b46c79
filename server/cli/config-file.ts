import { readFile } from 'node:fs/promises'
import { FanfareError } from '../../shared/errors.ts'

/** What a configuration file says; nothing where there is none. Throws `bad_config`. */
export async function readConfig(file: string | undefined): Promise<Record<string, unknown>> {
  if (file === undefined) return {}
  try {
    const value: unknown = JSON.parse(await readFile(file, 'utf8'))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch (error) {
    throw new FanfareError('bad_config', `${file}: ${(error as Error).message}`)
  }
  throw new FanfareError('bad_config', `${file}: a JSON object is expected`)
}
