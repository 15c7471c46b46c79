import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import { sentence } from '../../shared/error-text.ts'
import { FanfareError } from '../../shared/errors.ts'
import type { TlsOptions } from './tls-config.ts'

/** A certificate and its key, checked to belong together. */
export interface Certificate extends TlsOptions {
  /** Content of the files. */
  readonly cert: string
  readonly key: string
  /** Validity period, in milliseconds since 1970. */
  readonly validFrom: number
  readonly expiresAt: number
}

/** Throws `bad_config`, whose message says what is wrong with which file. */
export async function readCertificate({ certFile, keyFile }: TlsOptions): Promise<Certificate> {
  const [cert, key] = await Promise.all([contentOf('certFile', certFile), contentOf('keyFile', keyFile)])
  // The first certificate of the file; the others lead from it to a root.
  const own = checked(`certFile: ${certFile} is not a certificate in PEM`, () => new X509Certificate(cert))
  const privateKey = checked(`keyFile: ${keyFile} is not a private key in PEM without a passphrase`, () =>
    createPrivateKey(key),
  )
  if (!own.checkPrivateKey(privateKey)) {
    throw new FanfareError(
      'bad_config',
      `tls: the key in ${keyFile} does not belong to the first certificate in ${certFile}.`,
    )
  }
  checked(`certFile: ${certFile} and ${keyFile} cannot be used`, () => createSecureContext({ cert, key }))
  return { certFile, keyFile, cert, key, validFrom: Date.parse(own.validFrom), expiresAt: Date.parse(own.validTo) }
}

function contentOf(option: keyof TlsOptions, path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: Error) => {
    throw new FanfareError('bad_config', `tls.${option}: ${sentence(error.message)}`)
  })
}

function checked<Result>(what: string, check: () => Result): Result {
  try {
    return check()
  } catch (error) {
    throw new FanfareError('bad_config', `tls.${what}: ${sentence((error as Error).message)}`)
  }
}
