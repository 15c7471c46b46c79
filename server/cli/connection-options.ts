import { type Command, Option } from 'commander'
import type { Client } from '../../client/client.ts'
import { connect } from '../../client/node.ts'
import { durationMs } from '../../shared/time.ts'
import { DEFAULTS } from '../defaults.ts'
import { said } from './sources.ts'
import { UsageError } from './usage.ts'

/** The default hub. */
const LOCAL = `ws://${DEFAULTS.host}:${DEFAULTS.port}`

/** Which hub to connect to, and with which token. */
export interface HubAddress {
  readonly url: string
  readonly token?: string
}

/** Adds the connection options of `pub`, `sub` and other commands. */
export function addHub(command: Command): Command {
  return command
    .addOption(
      new Option('-u, --url <url>', 'address of the hub')
        .env('FANFARE_URL')
        .default(LOCAL)
        .argParser(webSocketUrl)
        .helpGroup(CONNECTION),
    )
    .addOption(tokenOption())
}

const CONNECTION = 'Connection:'

export function tokenOption(): Option {
  return new Option('--token <token>', 'token or API key; prefer the variable, since other users see flags in "ps"')
    .env('FANFARE_TOKEN')
    .helpGroup(CONNECTION)
}

export function connectTo({ url, token }: HubAddress, name: string): Client {
  const credentials = said(token)
  return connect(url, { name, ...(credentials !== undefined && { token: credentials }) })
}

/** Adds the timeout of commands that fail if no hub answers. */
export function addTimeout(command: Command): Command {
  return command.addOption(
    new Option('--timeout <duration>', 'how long to wait for the hub')
      .argParser(durationOf('--timeout', 1))
      .default(10_000, '10s')
      .helpGroup(CONNECTION),
  )
}

export function webSocketUrl(given: string): string {
  // An empty FANFARE_URL counts as not set.
  const text = said(given) ?? LOCAL
  if (URL.canParse(text) && ['ws:', 'wss:'].includes(new URL(text).protocol)) return text
  throw new UsageError(`--url must begin with ws:// or wss:// (got "${text}").`)
}

/** Parses an integer option of `least` or more. */
export function integer(flag: string, least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  const range = most === Number.MAX_SAFE_INTEGER ? `, ${least} or more` : ` from ${least} to ${most}`
  return (text) => {
    const number = /^\d+$/.test(text) ? Number(text) : Number.NaN
    if (number >= least && number <= most) return number
    throw new UsageError(`${flag} must be an integer${range} (got "${text}").`)
  }
}

/** Parses a duration option, such as `30s` or a number of milliseconds, into milliseconds; `least` or more. */
export function durationOf(flag: string, least: number): (text: string) => number {
  return (text) => {
    const ms = Math.ceil(durationMs(/^\d+$/.test(text) ? Number(text) : text) ?? Number.NaN)
    if (ms >= least) return ms
    throw new UsageError(`${flag} must be a duration such as 250ms, 30s or 5m (got "${text}").`)
  }
}

/** Collects repeated `name=value` options. */
export function collectHeader(text: string, before: Record<string, string> = {}): Record<string, string> {
  const [name, ...rest] = text.split('=')
  if (!name || rest.length === 0) throw new UsageError(`--header must be name=value (got "${text}").`)
  return { ...before, [name]: rest.join('=') }
}
