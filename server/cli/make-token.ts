import { createPrivateKey, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { SignJWT } from 'jose'
import type { z } from 'zod'
import { quoted, sentence } from '../../shared/error-text.ts'
import { FanfareError } from '../../shared/errors.ts'
import { MAX_TOKEN } from '../../shared/field-rules.ts'
import { topicWord } from '../../shared/topic.ts'
import type { Verb } from '../auth/access.ts'
import type { AuthConfig, KeySource } from '../auth/auth-config.ts'
import { algorithmOf, secretKey } from '../auth/keys.ts'
import { fill, PermissionsConfig } from '../auth/permissions.ts'
import { checkConfig } from '../config.ts'
import { faultOf } from '../failure/schema-fault.ts'
import { duration } from '../time/time-params.ts'
import { SECRET_ENV } from './auth-flags.ts'
import { readConfig } from './config-file.ts'
import { fromFile } from './sources.ts'

type Patterns = Partial<Record<Exclude<Verb, 'admin'>, string[]>>

/** The options of `fanfare token`. */
export interface TokenOptions extends Patterns {
  readonly subject: string
  readonly claim?: Record<string, unknown>
  readonly admin?: true
  readonly role?: string
  readonly expires: string
  readonly config?: string
  readonly secretFile?: string
  readonly keyFile?: string
}

type Warn = (text: string) => void
/** The roles of the configuration, if there is one. */
type Roles = AuthConfig['roles'] | undefined

/**
 * Makes and signs a token. Calls `warn` for everything that the hub will not accept as intended. Throws `bad_config`, whose message
 * says what is wrong with an option.
 */
export async function makeToken(
  { subject, claim = {}, role, expires, config: file, ...options }: TokenOptions,
  warn: Warn,
): Promise<string> {
  if (subject === '')
    throw new FanfareError('bad_config', 'The subject must not be empty: the hub would reject the token.')
  const { options: configured, sources } = fromFile(file, await readConfig(file))
  const { auth } = checkConfig(configured, sources)
  const key = await signingKey(options, auth)
  const algorithm = algorithmOf(key)
  if (!algorithm)
    throw new FanfareError(
      'bad_config',
      'The key must be an RSA key (2048 bits or more), a P-256 key or an Ed25519 key.',
    )
  const claims = { ...claim, ...(role !== undefined && { role }), ...permissionsClaim(options) }
  warnOf({ ...claims, sub: subject }, file === undefined ? undefined : auth.roles, warn)
  const jwt = new SignJWT(claims)
    .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
    .setSubject(subject)
    .setIssuedAt()
    .setExpirationTime(new Date(Date.now() + parseDuration(expires)))
  const { audience, issuer } = auth.jwt ?? {}
  if (audience !== undefined) jwt.setAudience(audience)
  if (issuer !== undefined) jwt.setIssuer(typeof issuer === 'string' ? issuer : (issuer[0] as string))
  const token = await jwt.sign(key)
  if (token.length <= MAX_TOKEN) return token
  throw new FanfareError(
    'bad_config',
    `The token may have at most ${MAX_TOKEN} characters (it has ${token.length}). Leave out claims.`,
  )
}

/** Checks a token as the hub will. Throws `bad_config` for permissions that the hub cannot read. */
function warnOf(claims: Record<string, unknown> & { readonly sub: string }, roles: Roles, warn: Warn): void {
  const { sub, role, permissions } = claims
  const own = typeof permissions === 'object' && permissions !== null && !Array.isArray(permissions)
  const named = (Array.isArray(role) ? role : [role]).filter(isText)
  for (const name of named.filter((each) => roles && !Object.hasOwn(roles, each)))
    warn(`the configuration has no role "${name}", so it permits nothing`)
  const all: object[] = (own || named.length > 0 ? named : ['default']).map((name) => roles?.[name] ?? {})
  if (own) all.push(checkedPermissions(permissions))
  for (const pattern of new Set(all.flatMap((each) => Object.values(each).flat()).filter(isText))) {
    if (fill({ publish: [pattern] }, claims).publish?.length === 0)
      warn(`${pattern} permits nothing: a claim in it is missing, or its value cannot be part of a topic`)
    else if (pattern.includes('${sub}') && topicWord(sub) !== sub)
      warn(`in ${pattern} the subject is ${topicWord(sub)}`)
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

/** The key given by options, otherwise the first secret of the configuration: of its other keys the hub has only the public part. */
async function signingKey({ keyFile, secretFile }: Partial<TokenOptions>, { jwt }: AuthConfig): Promise<KeyObject> {
  if (keyFile !== undefined) return readKey(keyFile, createPrivateKey)
  if (secretFile !== undefined) return readKey(secretFile, (text) => secretKey(text, secretFile))
  const configured: KeySource | undefined = jwt?.keys.find(({ secretFile, secretEnv }) => secretFile ?? secretEnv)
  const path = configured?.secretFile
  if (path !== undefined) return readKey(path, (text) => secretKey(text, path))
  const env = configured?.secretEnv ?? SECRET_ENV
  const secret = process.env[env]
  if (secret !== undefined) return secretKey(secret, `the variable ${env}`)
  throw new FanfareError(
    'bad_config',
    'There is no key to sign with. Use --secret-file, --key-file, or --config with auth.jwt.keys that have a secret.',
  )
}

async function readKey(path: string, parse: (text: string) => KeyObject): Promise<KeyObject> {
  try {
    return parse(await readFile(path, 'utf8'))
  } catch (error) {
    throw error instanceof FanfareError
      ? error
      : new FanfareError('bad_config', `The key ${path} cannot be read: ${sentence((error as Error).message)}`)
  }
}

function permissionsClaim({
  publish,
  subscribe,
  respond,
  consume,
  declare,
  admin,
}: Patterns & { admin?: true }): object {
  const permissions = { publish, subscribe, respond, consume, declare, admin }
  if (Object.values(permissions).every((value) => value === undefined)) return {}
  return { permissions: checkedPermissions(permissions) }
}

function checkedPermissions(permissions: unknown): z.infer<typeof PermissionsConfig> {
  const checked = PermissionsConfig.safeParse(permissions)
  if (checked.success) return checked.data
  throw new FanfareError(
    'bad_config',
    checked.error.issues.map((issue) => faultOf(issue, permissions, { schema: PermissionsConfig })).join(' '),
  )
}

function parseDuration(text: string): number {
  const parsed = duration.safeParse(text)
  if (parsed.success) return parsed.data
  throw new FanfareError('bad_config', `--expires ${parsed.error.issues[0]?.message} (got ${quoted(text)}).`)
}
