import { type Command, Option } from 'commander'
import type { AuthOptions, KeySource } from '../auth/auth-config.ts'
import { said } from './sources.ts'

/** Variable that has the secret of tokens itself. */
export const SECRET_ENV = 'FANFARE_JWT_SECRET'

export interface AuthFlags {
  readonly anonymous?: string
  readonly jwtSecretFile?: string
  readonly jwksUrl?: string
}

/** What of `auth` can be said with flags and environment; the file can say all of it. */
export function addAuthFlags(command: Command): Command {
  return command
    .addOption(
      new Option('--anonymous <mode>', 'who is let in without a token: "loopback", "allow" or "deny"').env(
        'FANFARE_ANONYMOUS',
      ),
    )
    .addOption(
      new Option('--jwt-secret-file <file>', `secret of tokens (HS256); ${SECRET_ENV} has the secret itself`).env(
        'FANFARE_JWT_SECRET_FILE',
      ),
    )
    .addOption(new Option('--jwks-url <url>', 'public keys of tokens').env('FANFARE_JWKS_URL'))
}

/** `auth` of the file, with what flags and environment say in its place. */
export function authWith(fromFile: unknown, flags: AuthFlags, env: NodeJS.ProcessEnv): AuthOptions {
  const anonymous = said(flags.anonymous)?.toLowerCase() as AuthOptions['anonymous']
  const [jwtSecretFile, jwksUrl] = [said(flags.jwtSecretFile), said(flags.jwksUrl)]
  const auth = fromFile as AuthOptions
  // To be refused as it is.
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
