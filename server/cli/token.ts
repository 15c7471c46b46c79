import { Command, Option } from 'commander'
import { quoted } from '../../shared/error-text.ts'
import { FanfareError } from '../../shared/errors.ts'
import { SECRET_ENV } from './auth-flags.ts'
import type { TokenOptions } from './make-token.ts'

export function tokenCommand(): Command {
  const command = new Command('token')
    .description('make a token (JWT) for development, and print it')
    .requiredOption('--subject <name>', 'whose it is: the claim "sub"')
    .option('--claim <name=value>', 'another claim, JSON or text, may be repeated', collectClaim)
  for (const verb of ['publish', 'subscribe', 'respond', 'consume', 'declare']) {
    command.option(
      `--${verb} <pattern>`,
      `what it may ${verb}${verb === 'respond' ? ' to' : ''}, may be repeated`,
      collect,
    )
  }
  return command
    .option('--admin', 'it may do everything')
    .option('--role <name>', 'a role of the configuration')
    .option('--expires <duration>', 'how long it is good', '1h')
    .option('--config <file>', "the hub's configuration: its secret, audience and issuer are taken")
    .addOption(new Option('--secret-file <file>', `the secret; or ${SECRET_ENV} has it`).env('FANFARE_JWT_SECRET_FILE'))
    .option('--key-file <file>', 'a private key (PEM) instead: RSA, P-256 or Ed25519')
    .action(async (options: TokenOptions) => {
      // Signing is loaded where there is something to sign.
      const { makeToken } = await import('./make-token.ts')
      const warn = (text: string) => process.stderr.write(`fanfare: note: ${text}\n`)
      process.stdout.write(`${await makeToken(options, warn)}\n`)
    })
}

function collect(text: string, before: string[] = []): string[] {
  return [...before, text]
}

function collectClaim(text: string, before: Record<string, unknown> = {}): Record<string, unknown> {
  const [name, ...rest] = text.split('=')
  if (!name || rest.length === 0)
    throw new FanfareError('bad_config', `--claim must be name=value (got ${quoted(text)}).`)
  return { ...before, [name]: claimOf(rest.join('=')) }
}

/** JSON, or what is not JSON as a string: a claim is a value that is signed, and not a payload that goes on as it came. */
function claimOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
