import { createHash, randomBytes } from 'node:crypto'

/** Lets secret scanners recognise a key, and the hub tell it from a JWT. */
const PREFIX = 'fanfare_'
const KEY = /^fanfare_[\w-]{43}$/

/** Creates a key of 256 random bits. */
export function newApiKey(): string {
  return PREFIX + randomBytes(32).toString('base64url')
}

export function isApiKey(token: string): boolean {
  return KEY.test(token)
}

/**
 * What the configuration stores of a key. A fast hash is right here: slow hashes protect passwords, which can be guessed, unlike
 * 256 random bits. A key is looked up by its hash in a map. The timing reveals something about the hash of what was sent, which an
 * attacker cannot steer towards the hash of another key.
 */
export function hashApiKey(key: string): string {
  return createHash('sha256').update(key).digest('hex')
}
