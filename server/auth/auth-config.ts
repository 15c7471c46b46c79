import { z } from 'zod'
import type { Duration } from '../../shared/time.ts'
import { durationFrom } from '../time/time-params.ts'
import type { Authenticate, Permissions } from './identity.ts'
import { PermissionsConfig } from './permissions.ts'

export const AUTH_DEFAULTS = { clockTolerance: '5s' } as const

/** Where the key for JWT comes from. Set exactly one. */
export interface KeySource {
  /** File with a secret of 32 bytes or more, for HS256. */
  readonly secretFile?: string | undefined
  /** Name of an environment variable with that secret. */
  readonly secretEnv?: string | undefined
  /** File with a public key, PEM or JWK. The kind of key selects RS256, ES256 or EdDSA. */
  readonly publicKeyFile?: string | undefined
  /** File with a set of public keys (RFC 7517). */
  readonly jwksFile?: string | undefined
  /** URL of such a set: https, or http on this machine. */
  readonly jwksUrl?: string | undefined
}

export interface JwtOptions {
  /** A token is valid if any of these keys verifies it. Files and URLs are read again when they change. */
  readonly keys: readonly KeySource[]
  /** Required `aud`, or one of several. Without it, a token made for another service is accepted here. */
  readonly audience?: string | readonly string[] | undefined
  /** Required `iss`, or one of several. */
  readonly issuer?: string | readonly string[] | undefined
  /** How far clocks may differ. `'5s'` by default. */
  readonly clockTolerance?: Duration | undefined
}

export interface ApiKey {
  /** The subject of clients with this key. */
  readonly name: string
  /** SHA-256 of the key in hexadecimal digits; `fanfare api-key` prints both. */
  readonly hash: string
  readonly permissions?: Permissions | undefined
  readonly role?: string | undefined
}

/** Authentication and permissions. */
export interface AuthOptions {
  /**
   * Whether clients without a token are admitted: `'loopback'` only if the hub listens on a loopback address, `'allow'` always,
   * `'deny'` never. The default is `'loopback'`, or `'deny'` as soon as any of the other options here is set.
   */
  readonly anonymous?: 'allow' | 'loopback' | 'deny' | undefined
  readonly jwt?: JwtOptions | undefined
  readonly apiKeys?: readonly ApiKey[] | undefined
  /**
   * Permissions by name, for the claim `role` of a token and the `role` of an API key. `default` applies to tokens with neither
   * role nor permissions, `anonymous` to clients without a token: if it is missing, they may do everything.
   */
  readonly roles?: Readonly<Record<string, Permissions>> | undefined
  /** The program's own check of credentials. It comes before all others. */
  readonly authenticate?: Authenticate | undefined
}

const DAY_MS = 86_400_000

const texts = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)])

const KeySourceConfig = z
  .strictObject({
    secretFile: z.string().min(1).optional(),
    secretEnv: z.string().min(1).optional(),
    publicKeyFile: z.string().min(1).optional(),
    jwksFile: z.string().min(1).optional(),
    jwksUrl: z.url().refine(isSafeUrl, 'must begin with https://, or http:// on this machine').optional(),
  } satisfies Record<keyof KeySource, z.ZodType>)
  .refine((source) => Object.values(source).filter((value) => value !== undefined).length === 1, {
    message: 'must have exactly one of secretFile, secretEnv, publicKeyFile, jwksFile, jwksUrl',
  })

/** Anyone who can change the keys in transit can impersonate any client. */
function isSafeUrl(text: string): boolean {
  const { protocol, hostname } = new URL(text)
  return protocol === 'https:' || (protocol === 'http:' && ['localhost', '127.0.0.1', '[::1]'].includes(hostname))
}

export const AuthConfig = z
  .strictObject({
    anonymous: z.enum(['allow', 'loopback', 'deny']).optional(),
    jwt: z
      .strictObject({
        keys: z.array(KeySourceConfig).min(1),
        audience: texts.optional(),
        issuer: texts.optional(),
        clockTolerance: durationFrom(0, DAY_MS, 'of 1 day at most').prefault(AUTH_DEFAULTS.clockTolerance),
      } satisfies Record<keyof JwtOptions, z.ZodType>)
      .optional(),
    apiKeys: z
      .array(
        z.strictObject({
          name: z.string().min(1).max(200),
          hash: z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits, as fanfare api-key prints them'),
          permissions: PermissionsConfig.optional(),
          role: z.string().optional(),
        } satisfies Record<keyof ApiKey, z.ZodType>),
      )
      .default([]),
    roles: z.record(z.string(), PermissionsConfig).default({}),
    authenticate: z.custom<Authenticate>((value) => typeof value === 'function', 'must be a function').optional(),
  } satisfies Record<keyof AuthOptions, z.ZodType>)
  .superRefine((config, context) => {
    const { anonymous, apiKeys, roles } = config
    for (const [at, { role }] of apiKeys.entries()) {
      if (role === undefined || Object.hasOwn(roles, role)) continue
      context.addIssue({ code: 'custom', path: ['apiKeys', at, 'role'], message: `there is no role "${role}"` })
    }
    if (anonymous !== 'deny' || isConfigured(config)) return
    context.addIssue({
      code: 'custom',
      path: ['anonymous'],
      message: 'is "deny", and there is no way to authenticate. Configure jwt or apiKeys',
    })
  })
  .transform((config) => ({
    ...config,
    anonymous: config.anonymous ?? (isConfigured(config) ? ('deny' as const) : ('loopback' as const)),
  }))
export type AuthConfig = z.infer<typeof AuthConfig>

/** Whether there is a way to authenticate. */
export function isConfigured({ jwt, apiKeys = [], authenticate }: AuthOptions): boolean {
  return jwt !== undefined || apiKeys.length > 0 || authenticate !== undefined
}
