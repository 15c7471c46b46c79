import { createPrivateKey, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { SignJWT } from 'jose'
import { FanfareError } from '../../shared/errors.ts'
import type { Verb } from '../auth/access.ts'
import type { AuthConfig, KeySource } from '../auth/auth-config.ts'
import { algorithmOf, secretKey } from '../auth/keys.ts'
import { PermissionsConfig } from '../auth/permissions.ts'
import { checkConfig } from '../config.ts'
import { duration } from '../stream/stream-config.ts'
import { SECRET_ENV } from './auth-flags.ts'
import { readConfig } from './config-file.ts'

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

/** Makes and signs one. Throws `bad_config`, which says what is wrong with an option. */
export async function makeToken({
  subject,
  claim = {},
  role,
  expires,
  config: file,
  ...options
}: TokenOptions): Promise<string> {
  const { auth } = checkConfig(await readConfig(file))
  const key = await signingKey(options, auth)
  const algorithm = algorithmOf(key)
  if (!algorithm) throw new FanfareError('bad_config', 'key-file: it is no key of RSA (2048 bits), P-256 or Ed25519')
  const jwt = new SignJWT({ ...claim, ...(role !== undefined && { role }), ...permissionsClaim(options) })
    .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
    .setSubject(subject)
    .setIssuedAt()
    .setExpirationTime(new Date(Date.now() + parseDuration(expires)))
  const { audience, issuer } = auth.jwt ?? {}
  if (audience !== undefined) jwt.setAudience(audience)
  if (issuer !== undefined) jwt.setIssuer(typeof issuer === 'string' ? issuer : (issuer[0] as string))
  return jwt.sign(key)
}

/** What was said, or else the first secret of the configuration: of the others the hub has public keys alone. */
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
    'token: say --secret-file, --key-file, or --config with auth.jwt.keys that have a secret',
  )
}

async function readKey(path: string, parse: (text: string) => KeyObject): Promise<KeyObject> {
  try {
    return parse(await readFile(path, 'utf8'))
  } catch (error) {
    throw error instanceof FanfareError ? error : new FanfareError('bad_config', `${path}: ${(error as Error).message}`)
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
  const checked = PermissionsConfig.safeParse(permissions)
  if (checked.success) return { permissions: checked.data }
  throw new FanfareError(
    'bad_config',
    checked.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; '),
  )
}

function parseDuration(text: string): number {
  const parsed = duration.safeParse(text)
  if (parsed.success) return parsed.data
  throw new FanfareError('bad_config', `expires: ${parsed.error.issues[0]?.message}`)
}
