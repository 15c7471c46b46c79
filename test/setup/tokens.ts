import { createSecretKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type JWTPayload, SignJWT } from 'jose'
import { afterAll } from 'vitest'

export const SECRET = 'a secret that is thirty-two bytes long, and more'
export const secret = createSecretKey(new TextEncoder().encode(SECRET))

export const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
export const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
export const ed = generateKeyPairSync('ed25519')

/** Signs a token that is good for a minute, unless the claims say otherwise; undefined takes a claim out. */
export function sign(
  claims: { readonly [Claim in keyof JWTPayload]: JWTPayload[Claim] | undefined },
  key: KeyObject = secret,
  header: { alg?: string; kid?: string } = {},
) {
  const { alg = 'HS256' } = header
  const complete = { sub: 'ann', exp: inSeconds(60), ...claims }
  return new SignJWT(complete as JWTPayload).setProtectedHeader({ ...header, alg }).sign(key)
}

export function inSeconds(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds
}

/** A set of public keys, by their ids. */
export function jwks(keys: Record<string, KeyObject>): string {
  return JSON.stringify({
    keys: Object.entries(keys).map(([kid, key]) => ({ ...key.export({ format: 'jwk' }), kid })),
  })
}

/** A folder for the files of one suite; `write` gives the path. */
export function keyFolder(): { write(name: string, content: string): string } {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-keys-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return {
    write(name, content) {
      const path = join(folder, name)
      writeFileSync(path, content)
      return path
    },
  }
}
