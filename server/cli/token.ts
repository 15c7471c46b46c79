import { Command, Option } from 'commander'
import { SECRET_ENV } from './auth-flags.ts'
import { withExamples } from './examples.ts'
import type { TokenOptions } from './make-token.ts'
import { UsageError } from './usage.ts'

const PERMISSIONS = {
  publish: 'topics that it may publish to',
  subscribe: 'topics that it may subscribe to',
  respond: 'topics that it may respond on',
  consume: 'queues that it may consume',
  declare: 'streams and queues that it may declare',
} as const

export function tokenCommand(): Command {
  const command = new Command('token')
    .description('sign a token (JWT) for development, and print it')
    .requiredOption('-s, --subject <name>', 'subject of the token: its claim "sub"')
    .option('--expires <duration>', 'lifetime of the token', '1h')
    .option('--claim <name=value>', 'another claim, JSON or text; can be repeated', collectClaim)
    .optionsGroup('Permissions:')
  for (const [verb, text] of Object.entries(PERMISSIONS)) {
    command.option(`--${verb} <pattern>`, `${text}; can be repeated`, collect)
  }
  command
    .option('--admin', 'permission for everything')
    .option('--role <name>', 'role that the configuration defines')
    .optionsGroup('Signing key:')
    .option('-c, --config <file>', "the hub's configuration: its secret, audience and issuer are used")
    .addOption(
      new Option('--secret-file <file>', `file with the secret, or set ${SECRET_ENV}`).env('FANFARE_JWT_SECRET_FILE'),
    )
    .option('--key-file <file>', 'private key (PEM: RSA, P-256 or Ed25519) to sign with instead')
    .action(async (options: TokenOptions) => {
      // Loaded only if there is something to sign.
      const { makeToken } = await import('./make-token.ts')
      const warn = (text: string) => process.stderr.write(`fanfare: note: ${text}\n`)
      process.stdout.write(`${await makeToken(options, warn)}\n`)
    })
  return withExamples(
    command,
    [`fanfare token --secret-file jwt.secret --subject ann --publish 'users.ann.#' --subscribe 'users.ann.#'`],
    ['fanfare token --config fanfare.json --subject ops --admin --expires 15m'],
  )
}

function collect(text: string, before: string[] = []): string[] {
  return [...before, text]
}

function collectClaim(text: string, before: Record<string, unknown> = {}): Record<string, unknown> {
  const [name, ...rest] = text.split('=')
  if (!name || rest.length === 0) throw new UsageError(`--claim must be name=value (got "${text}").`)
  return { ...before, [name]: claimOf(rest.join('=')) }
}

/** JSON, or any other text as a string. A claim is a value to sign, so it is parsed, unlike a payload. */
function claimOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
