import { z } from 'zod'

/** What a hub that speaks TLS itself does it with: two files in PEM, which are read again when they change. */
export interface TlsOptions {
  /** The certificate, and behind it in the same file those that lead to a root that clients know: `fullchain.pem` of certbot. */
  readonly certFile: string
  /** Its private key, without a passphrase. */
  readonly keyFile: string
}

export const TlsConfig = z.strictObject({
  certFile: z.string().min(1),
  keyFile: z.string().min(1),
} satisfies Record<keyof TlsOptions, z.ZodType>)
