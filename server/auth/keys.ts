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

/** Keys and the algorithms that they are for: never a secret's algorithm for a public key, and never `none`. */
export interface Keys {
  readonly algorithms: readonly string[]
  /** Rejects if it has no key for the token. */
  find(header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<KeyObject | CryptoKey>
}

/** Returns the current keys. */
export type ReadKeys = () => Promise<Keys>

const ASYMMETRIC = ['RS256', 'ES256', 'EdDSA']
/** RFC 7518, section 3.2: at least as long as the hash. */
const SECRET_BYTES = 32
/** Minimum time between two checks of a file, in milliseconds. */
const LOOK_MS = 250
/** A key set behind a URL is fetched again if it lacks a key, at most this often, and in any case after ten minutes. */
const FETCH_AGAIN_MS = 2_000
const FETCH_TIMEOUT_MS = 5_000

/** Opens a key source. Throws `bad_config` if it does not exist or is not a key. */
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

/** The bytes of a secret. Throws `bad_config`. */
export function secretKey(text: string, from: string): KeyObject {
  const secret = text.trim()
  // A public key used as a secret would let anyone who has it create tokens.
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

/** The algorithm of a public or private key. */
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

/** Keys from a file, which is read again when it has changed. If that fails, the error is logged and the old keys stay. */
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
        log.info({ path }, 'token keys reloaded')
      }
    } catch (error) {
      log.error({ err: error, path }, 'token keys cannot be reloaded: keeping the old ones')
    }
    return now.keys
  }
}

/** A key server that does not answer says nothing about the token. */
function unreachable(url: URL, log: Logger): (error: unknown) => never {
  return (error) => {
    if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) throw error
    log.error({ err: error, url: url.href }, 'token keys cannot be fetched')
    throw new FanfareError('auth_unavailable')
  }
}
