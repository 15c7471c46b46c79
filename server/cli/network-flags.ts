import { type Command, Option } from 'commander'
import type { HubOptions } from '../config.ts'
import type { TlsOptions } from '../tls/tls-config.ts'
import { said } from './sources.ts'

export interface NetworkFlags {
  readonly allowedOrigins?: readonly string[]
  readonly trustedProxies?: readonly string[]
  readonly tlsCertFile?: string
  readonly tlsKeyFile?: string
}

/** From where clients may come, and over what. */
export function addNetworkFlags(command: Command): Command {
  return command
    .addOption(
      new Option('--allowed-origins <list>', 'sites whose pages may use the hub, with commas; "*" is any')
        .argParser(listOf)
        .env('FANFARE_ALLOWED_ORIGINS'),
    )
    .addOption(
      new Option('--trusted-proxies <list>', 'addresses and networks of proxies in front of the hub, with commas')
        .argParser(listOf)
        .env('FANFARE_TRUSTED_PROXIES'),
    )
    .addOption(
      new Option('--tls-cert-file <file>', 'certificate with its chain (PEM): the hub speaks TLS itself').env(
        'FANFARE_TLS_CERT_FILE',
      ),
    )
    .addOption(new Option('--tls-key-file <file>', 'its private key (PEM)').env('FANFARE_TLS_KEY_FILE'))
}

/** What flags and environment say, in the place of what the file does; nothing where they say nothing. */
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
