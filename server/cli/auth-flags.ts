import { type Command, Option } from 'commander'
import type { AuthOptions, KeySource } from '../auth/auth-config.ts'
import { said } from './sources.ts'

/** Environment variable that holds the token secret itself. */
export const SECRET_ENV = 'FANFARE_JWT_SECRET'

export interface AuthFlags {
  readonly anonymous?: string
  readonly jwtSecretFile?: string
  readonly jwksUrl?: string
}

/** The part of `auth` that flags and environment can set; the file can set all of it. */
export function addAuthFlags(command: Command): Command {
  return command
    .optionsGroup('Authentication (roles, API keys and more: auth in the configuration file):')
    .addOption(
      new Option(
        '--anonymous <mode>',
        'who may connect without a token: loopback, allow or deny (default: loopback)',
      ).env('FANFARE_ANONYMOUS'),
    )
    .addOption(
      new Option('--jwt-secret-file <file>', `file with the secret of tokens (HS256), or set ${SECRET_ENV}`).env(
        'FANFARE_JWT_SECRET_FILE',
      ),
    )
    .addOption(new Option('--jwks-url <url>', 'URL of the public keys of tokens (JWKS)').env('FANFARE_JWKS_URL'))
}

/** `auth` from the file, with flags and environment taking precedence. */
export function authWith(fromFile: unknown, flags: AuthFlags, env: NodeJS.ProcessEnv): AuthOptions {
  const anonymous = said(flags.anonymous)?.toLowerCase() as AuthOptions['anonymous']
  const [jwtSecretFile, jwksUrl] = [said(flags.jwtSecretFile), said(flags.jwksUrl)]
  const auth = fromFile as AuthOptions
  // Left as it is, for the check of the configuration to refuse.
  if (typeof fromFile !== 'object' || fromFile === null) return auth
  const keys: KeySource[] = []
  if (jwtSecretFile !== undefined) keys.push({ secretFile: jwtSecretFile })
  else if (said(env[SECRET_ENV])) keys.push({ secretEnv: SECRET_ENV })
  if (jwksUrl !== undefined) keys.push({ jwksUrl })
  return {
    ...auth,
    ...(anonymous !== undefined && { anonymous }),
    ...(keys.length > 0 && { jwt: { ...auth.jwt, keys } }),
  }
}
