import { createHash, randomBytes } from 'node:crypto'

/** By it scanners of leaked secrets know a key, and the hub tells it from a JWT. */
const PREFIX = 'fanfare_'
const KEY = /^fanfare_[\w-]{43}$/

/** A new key: 256 random bits. */
export function newApiKey(): string {
  return PREFIX + randomBytes(32).toString('base64url')
}

export function isApiKey(token: string): boolean {
  return KEY.test(token)
}

/**
 * What a configuration keeps of a key. A fast hash is right here: slow ones are for passwords, which can be guessed, and
 * 256 random bits cannot. A key is found by its hash in a map: how long that takes tells of the hash of what was
 * sent, which nobody can steer towards that of another key.
 */
export function hashApiKey(key: string): string {
  return createHash('sha256').update(key).digest('hex')
}
