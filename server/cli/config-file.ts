import { readFile } from 'node:fs/promises'
import { sentence } from '../../shared/error-text.ts'
import { FanfareError } from '../../shared/errors.ts'

/** Reads a configuration file; empty if no file is given. Throws `bad_config`. */
export async function readConfig(file: string | undefined): Promise<Record<string, unknown>> {
  if (file === undefined) return {}
  try {
    const value: unknown = JSON.parse(await readFile(file, 'utf8'))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch (error) {
    throw new FanfareError(
      'bad_config',
      `The configuration file ${file} cannot be read: ${sentence((error as Error).message)}`,
    )
  }
  throw new FanfareError('bad_config', `The configuration file ${file} must contain a JSON object.`)
}
