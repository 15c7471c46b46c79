import { type Command, Option } from 'commander'
import type { HubOptions } from '../config.ts'
import type { TlsOptions } from '../tls/tls-config.ts'
import { said } from './sources.ts'

export const NETWORK = 'Network:'

export interface NetworkFlags {
  readonly allowedOrigins?: readonly string[]
  readonly trustedProxies?: readonly string[]
  readonly tlsCertFile?: string
  readonly tlsKeyFile?: string
}

/** Adds the options for where clients may connect from, and for TLS. */
export function addNetworkFlags(command: Command): Command {
  return command
    .optionsGroup(NETWORK)
    .addOption(
      new Option(
        '--allowed-origins <list>',
        'origins of other sites whose pages may connect, comma-separated; "*" is any',
      )
        .argParser(listOf)
        .env('FANFARE_ALLOWED_ORIGINS'),
    )
    .addOption(
      new Option('--trusted-proxies <list>', 'addresses or networks of reverse proxies, comma-separated')
        .argParser(listOf)
        .env('FANFARE_TRUSTED_PROXIES'),
    )
    .addOption(
      new Option('--tls-cert-file <file>', 'certificate chain (PEM), to serve TLS without a proxy').env(
        'FANFARE_TLS_CERT_FILE',
      ),
    )
    .addOption(new Option('--tls-key-file <file>', 'private key of the certificate (PEM)').env('FANFARE_TLS_KEY_FILE'))
}

/** Applies flags and environment on top of the file. */
export function networkWith(
  { tls }: Pick<HubOptions, 'tls'>,
  { allowedOrigins = [], trustedProxies = [], tlsCertFile, tlsKeyFile }: NetworkFlags,
): HubOptions {
  const [certFile, keyFile] = [said(tlsCertFile), said(tlsKeyFile)]
  return {
    ...(allowedOrigins.length > 0 && { allowedOrigins }),
    ...(trustedProxies.length > 0 && { trustedProxies }),
    ...((certFile || keyFile) && {
      tls: { ...tls, ...(certFile && { certFile }), ...(keyFile && { keyFile }) } as TlsOptions,
    }),
  }
}

function listOf(text: string): string[] {
  return (said(text) ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}
