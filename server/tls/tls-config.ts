import { z } from 'zod'

/** Certificate and key of a hub that serves TLS itself: two PEM files, which are read again when they change. */
export interface TlsOptions {
  /** The certificate, followed in the same file by those that lead to a root that clients trust: `fullchain.pem` of certbot. */
  readonly certFile: string
  /** The private key, without a passphrase. */
  readonly keyFile: string
}

export const TlsConfig = z.strictObject({
  certFile: z.string().min(1),
  keyFile: z.string().min(1),
} satisfies Record<keyof TlsOptions, z.ZodType>)
