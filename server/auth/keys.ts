import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import {
  type CryptoKey,
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  type FlattenedJWSInput,
  type JSONWebKeySet,
  type JWSHeaderParameters,
} from 'jose'
import type { Logger } from 'pino'
import { sentence } from '../../shared/error-text.ts'
import { FanfareError } from '../../shared/errors.ts'
import type { KeySource } from './auth-config.ts'
import { fileVersion } from './file-version.ts'

/** Some keys, and the algorithms that they are for: never a secret's for a public key, and never `none`. */
export interface Keys {
  readonly algorithms: readonly string[]
  /** Rejects where it has no key for a token. */
  find(header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<KeyObject | CryptoKey>
}

/** Gives the keys as they are now. */
export type ReadKeys = () => Promise<Keys>

const ASYMMETRIC = ['RS256', 'ES256', 'EdDSA']
/** RFC 7518, 3.2: as long as the hash at least. */
const SECRET_BYTES = 32
/** A file is looked at this often at most, in milliseconds. */
const LOOK_MS = 250
/** A set behind a URL is fetched again for a key that it does not have, this often at most; and always after ten minutes. */
const FETCH_AGAIN_MS = 2_000
const FETCH_TIMEOUT_MS = 5_000

/** Opens a source of keys. Throws `bad_config`, where it is not there or no key. */
export async function openKeys(source: KeySource, env: NodeJS.ProcessEnv, log: Logger): Promise<ReadKeys> {
  const { secretFile, secretEnv, publicKeyFile, jwksFile, jwksUrl } = source
  if (secretEnv !== undefined) {
    const keys = keysOf(secretKey(env[secretEnv] ?? '', `the variable ${secretEnv}`))
    return async () => keys
  }
  if (secretFile !== undefined) return fromFile(secretFile, log, (text) => keysOf(secretKey(text, secretFile)))
  if (publicKeyFile !== undefined) return fromFile(publicKeyFile, log, (text) => keysOf(publicKey(text, publicKeyFile)))
  if (jwksFile !== undefined) return fromFile(jwksFile, log, (text) => keySet(text, jwksFile))
  const url = new URL(jwksUrl as string)
  const find = createRemoteJWKSet(url, { cooldownDuration: FETCH_AGAIN_MS, timeoutDuration: FETCH_TIMEOUT_MS })
  const failed = unreachable(url, log)
  const keys: Keys = { algorithms: ASYMMETRIC, find: (header, token) => find(header, token).catch(failed) }
  return async () => keys
}

/** Bytes of a secret. Throws `bad_config`. */
export function secretKey(text: string, from: string): KeyObject {
  const secret = text.trim()
  // Whoever takes a public key for a secret lets everybody who has it make tokens.
  if (secret.startsWith('-----BEGIN') || secret.startsWith('{')) {
    throw new FanfareError('bad_config', `auth.jwt.keys: ${from} holds a key, not a secret. Use publicKeyFile.`)
  }
  const bytes = new TextEncoder().encode(secret)
  if (bytes.length >= SECRET_BYTES) return createSecretKey(bytes)
  throw new FanfareError(
    'bad_config',
    `auth.jwt.keys: a secret must have at least ${SECRET_BYTES} bytes (${from} has ${bytes.length}).`,
  )
}

/** The algorithm of a key, public or private. */
export function algorithmOf({
  type,
  asymmetricKeyType: kind,
  asymmetricKeyDetails: details,
}: KeyObject): string | undefined {
  if (type === 'secret') return 'HS256'
  if (kind === 'rsa' && (details?.modulusLength ?? 0) >= 2048) return 'RS256'
  if (kind === 'ec' && details?.namedCurve === 'prime256v1') return 'ES256'
  return kind === 'ed25519' ? 'EdDSA' : undefined
}

function publicKey(text: string, from: string): KeyObject {
  try {
    const key = text.trimStart().startsWith('{')
      ? createPublicKey({ key: JSON.parse(text), format: 'jwk' })
      : createPublicKey(text)
    if (algorithmOf(key)) return key
  } catch (error) {
    throw new FanfareError('bad_config', `auth.jwt.keys: ${from} cannot be read: ${sentence((error as Error).message)}`)
  }
  throw new FanfareError(
    'bad_config',
    `auth.jwt.keys: ${from} is not an RSA key (2048 bits or more), P-256 key or Ed25519 key.`,
  )
}

function keysOf(key: KeyObject): Keys {
  return { algorithms: [algorithmOf(key) as string], find: async () => key }
}

function keySet(text: string, from: string): Keys {
  try {
    return { algorithms: ASYMMETRIC, find: createLocalJWKSet(JSON.parse(text) as JSONWebKeySet) }
  } catch (error) {
    throw new FanfareError('bad_config', `auth.jwt.keys: ${from} cannot be read: ${sentence((error as Error).message)}`)
  }
}

/** Keys of a file, which is read again when it has changed. What cannot be read then is logged, and the old ones stay. */
async function fromFile(path: string, log: Logger, parse: (text: string) => Keys): Promise<ReadKeys> {
  const read = async () => ({ version: await fileVersion(path), keys: parse(await readFile(path, 'utf8')) })
  let now = await read().catch((error: unknown) => {
    throw error instanceof FanfareError
      ? error
      : new FanfareError('bad_config', `auth.jwt.keys: ${sentence((error as Error).message)}`)
  })
  let looked = performance.now()
  return async () => {
    if (performance.now() - looked < LOOK_MS) return now.keys
    looked = performance.now()
    try {
      if ((await fileVersion(path)) !== now.version) {
        now = await read()
        log.info({ path }, 'keys of tokens have changed')
      }
    } catch (error) {
      log.error({ err: error, path }, 'keys of tokens cannot be read: the old ones stay')
    }
    return now.keys
  }
}

/** A server of keys that does not answer says nothing about the token. */
function unreachable(url: URL, log: Logger): (error: unknown) => never {
  return (error) => {
    if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) throw error
    log.error({ err: error, url: url.href }, 'keys of tokens cannot be fetched')
    throw new FanfareError('auth_unavailable')
  }
}
