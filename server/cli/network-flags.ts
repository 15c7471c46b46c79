import { type Command, Option } from 'commander'
import type { HubOptions } from '../config.ts'

export interface NetworkFlags {
  readonly allowedOrigins?: readonly string[]
  readonly trustedProxies?: readonly string[]
}

/** From where clients may come. */
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
}

/** What flags and environment say; nothing where they say nothing. */
export function networkWith({ allowedOrigins, trustedProxies }: NetworkFlags): HubOptions {
  return { ...(allowedOrigins && { allowedOrigins }), ...(trustedProxies && { trustedProxies }) }
}

function listOf(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}
