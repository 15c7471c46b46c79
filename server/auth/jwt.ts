import { decodeProtectedHeader, errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose'
import type { Logger } from 'pino'
import type { Clock } from '../../shared/clock.ts'
import { sentence } from '../../shared/error-text.ts'
import { FanfareError } from '../../shared/errors.ts'
import { faultOf } from '../failure/schema-fault.ts'
import type { AuthConfig } from './auth-config.ts'
import type { Permissions } from './identity.ts'
import { openKeys, type ReadKeys } from './keys.ts'
import { PermissionsConfig } from './permissions.ts'

type JwtConfig = NonNullable<AuthConfig['jwt']>

/** The claims of a valid token. */
export interface Claims {
  readonly subject: string
  readonly claims: JWTPayload
  /** In milliseconds since 1970, as the token says. */
  readonly expiresAt: number
  /** How much longer the token is accepted, in case the clock of its issuer differs. */
  readonly toleranceMs: number
  /** Permissions in the token itself, from the claim `permissions`. */
  readonly permissions: Permissions | undefined
  /** The claim `role`: one name or several. */
  readonly roles: readonly string[]
}

/** Verifies JWT (RFC 7519, following RFC 8725) with the configured keys. */
export class JwtVerifier {
  private readonly sources: readonly ReadKeys[]
  private readonly toleranceMs: number
  private readonly options: JWTVerifyOptions
  private readonly clock: Clock

  private constructor(sources: readonly ReadKeys[], { audience, issuer, clockTolerance }: JwtConfig, clock: Clock) {
    this.clock = clock
    this.sources = sources
    this.toleranceMs = clockTolerance
    this.options = {
      clockTolerance: clockTolerance / 1000,
      // A token without an expiry could never be revoked.
      requiredClaims: ['sub', 'exp'],
      ...(audience !== undefined && { audience }),
      ...(issuer !== undefined && { issuer }),
    }
  }

  /** Reads the keys. Throws `bad_config`. */
  static async open(config: JwtConfig, env: NodeJS.ProcessEnv, log: Logger, clock: Clock): Promise<JwtVerifier> {
    return new JwtVerifier(await Promise.all(config.keys.map((source) => openKeys(source, env, log))), config, clock)
  }

  /** Rejects with `unauthenticated`, `token_expired`, `auth_unavailable`. */
  async verify(token: string): Promise<Claims> {
    const algorithm = algorithmIn(token)
    let failure: unknown = new FanfareError(
      'unauthenticated',
      `The hub has no key for tokens of the algorithm ${algorithm}.`,
    )
    for (const read of this.sources) {
      const { algorithms, find } = await read()
      if (!algorithms.includes(algorithm)) continue
      try {
        const { payload } = await jwtVerify(token, find, {
          ...this.options,
          algorithms: [...algorithms],
          currentDate: new Date(this.clock.now()),
        })
        return this.claimsOf(payload)
      } catch (error) {
        failure = refusalOf(error)
        // Another key may have signed the token. If this key has signed it, the answer is final.
        if (!isForeign(error)) break
      }
    }
    throw failure
  }

  private claimsOf(payload: JWTPayload): Claims {
    const { sub, exp, permissions, role } = payload
    if (typeof sub !== 'string' || sub === '')
      throw new FanfareError('unauthenticated', 'The claim "sub" of the token is missing or empty.')
    const roles = (Array.isArray(role) ? role : [role]).filter((name) => typeof name === 'string')
    return {
      subject: sub,
      claims: payload,
      expiresAt: (exp as number) * 1000,
      toleranceMs: this.toleranceMs,
      permissions: permissionsIn(permissions),
      roles,
    }
  }

  /** Whether a token looks like a JWT. */
  reads(token: string): boolean {
    return /^[\w-]+\.[\w-]+\.[\w-]*$/.test(token)
  }
}

function algorithmIn(token: string): string {
  try {
    return String(decodeProtectedHeader(token).alg).slice(0, 20)
  } catch {
    throw new FanfareError('unauthenticated', 'The token is not a JWT.')
  }
}

/** Token servers use lists under that claim for their own purposes; only an object is meant for the hub. */
function permissionsIn(claim: unknown): Permissions | undefined {
  if (typeof claim !== 'object' || claim === null || Array.isArray(claim)) return undefined
  const checked = PermissionsConfig.safeParse(claim)
  if (checked.success) return checked.data
  const [problem] = checked.error.issues
  throw new FanfareError(
    'unauthenticated',
    problem && `In the claim permissions, ${faultOf(problem, claim, { schema: PermissionsConfig })}`,
  )
}

function isForeign(error: unknown): boolean {
  return (
    error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys ||
    (error instanceof FanfareError && error.code === 'auth_unavailable')
  )
}

/** The messages of jose name claims and never contain the token. */
function refusalOf(error: unknown): unknown {
  if (error instanceof errors.JWTExpired) return new FanfareError('token_expired')
  if (error instanceof errors.JOSEError)
    return new FanfareError('unauthenticated', `The token was rejected: ${sentence(error.message)}`)
  return error
}
