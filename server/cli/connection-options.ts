import type { Command } from 'commander'
import { FanfareError } from '../../shared/errors.ts'
import { DEFAULTS } from '../config.ts'

/** The option that says which hub, as `pub`, `sub` and others have it. */
export function addUrl(command: Command): Command {
  const local = `ws://${DEFAULTS.host}:${DEFAULTS.port}`
  return command.option('--url <url>', 'the hub; also FANFARE_URL', process.env['FANFARE_URL'] ?? local)
}

/** Collects repeated `name=value`. */
export function collectHeader(text: string, before: Record<string, string> = {}): Record<string, string> {
  const [name, ...rest] = text.split('=')
  if (!name || rest.length === 0) throw new FanfareError('bad_config', `--header ${text}: write name=value`)
  return { ...before, [name]: rest.join('=') }
}
