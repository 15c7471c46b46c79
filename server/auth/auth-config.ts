import { z } from 'zod'
import type { Duration } from '../../shared/time.ts'
import { durationFrom } from '../time/time-params.ts'
import type { Authenticate, Permissions } from './identity.ts'
import { PermissionsConfig } from './permissions.ts'

export const AUTH_DEFAULTS = { clockTolerance: '5s' } as const

/** Where keys of JWT come from: one of these. */
export interface KeySource {
  /** File with a secret of 32 bytes or more, for HS256. */
  readonly secretFile?: string | undefined
  /** Name of an environment variable that has it. */
  readonly secretEnv?: string | undefined
  /** File with a public key, PEM or JWK: RS256, ES256 or EdDSA by its kind. */
  readonly publicKeyFile?: string | undefined
  /** File with a set of public keys (RFC 7517). */
  readonly jwksFile?: string | undefined
  /** Address of one: https, or http on this machine. */
  readonly jwksUrl?: string | undefined
}

export interface JwtOptions {
  /** A token is good by any of them. Files are read again when they change, and so is what stands behind a URL. */
  readonly keys: readonly KeySource[]
  /** What `aud` has to be, or one of them. Without it a token made for another service is accepted here. */
  readonly audience?: string | readonly string[] | undefined
  /** What `iss` has to be, or one of them. */
  readonly issuer?: string | readonly string[] | undefined
  /** How far clocks may differ: 5 s by default. */
  readonly clockTolerance?: Duration | undefined
}

export interface ApiKey {
  /** The subject of clients with this key. */
  readonly name: string
  /** SHA-256 of the key in hexadecimal digits; `fanfare api-key` makes both. */
  readonly hash: string
  readonly permissions?: Permissions | undefined
  readonly role?: string | undefined
}

/** Who may do what. */
export interface AuthOptions {
  /**
   * Whether clients without a token are let in: `'loopback'` on a hub that listens on a loopback address alone, `'allow'`
   * anywhere, `'deny'` nowhere. `'loopback'` by default, and `'deny'` as soon as there is any of the others here.
   */
  readonly anonymous?: 'allow' | 'loopback' | 'deny' | undefined
  readonly jwt?: JwtOptions | undefined
  readonly apiKeys?: readonly ApiKey[] | undefined
  /**
   * Permissions by name, for the claim `role` of a token and the `role` of an API key. `default` is for tokens that name neither
   * role nor permissions, `anonymous` for who has no token: without it he may do everything.
   */
  readonly roles?: Readonly<Record<string, Permissions>> | undefined
  /** The program's own check of credentials. It is asked before all others. */
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

/** Whoever can change the keys on their way can be anybody. */
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

/** Whether anybody can say who he is. */
export function isConfigured({ jwt, apiKeys = [], authenticate }: AuthOptions): boolean {
  return jwt !== undefined || apiKeys.length > 0 || authenticate !== undefined
}
