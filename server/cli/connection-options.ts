import { type Command, Option } from 'commander'
import type { Client } from '../../client/client.ts'
import { connect } from '../../client/node.ts'
import { FanfareError } from '../../shared/errors.ts'
import { durationMs } from '../../shared/time.ts'
import { DEFAULTS } from '../defaults.ts'
import { said } from './sources.ts'

/** The hub to speak to when nothing else is said. */
const LOCAL = `ws://${DEFAULTS.host}:${DEFAULTS.port}`

/** Which hub, and who asks it. */
export interface HubAddress {
  readonly url: string
  readonly token?: string
}

/** The options that say it, as `pub`, `sub` and others have them. */
export function addHub(command: Command): Command {
  return command
    .addOption(new Option('--url <url>', 'the hub').env('FANFARE_URL').default(LOCAL).argParser(webSocketUrl))
    .addOption(tokenOption())
}

export function tokenOption(): Option {
  return new Option('--token <token>', 'says who you are; in the environment others do not see it').env('FANFARE_TOKEN')
}

export function connectTo({ url, token }: HubAddress, name: string): Client {
  const credentials = said(token)
  return connect(url, { name, ...(credentials !== undefined && { token: credentials }) })
}

/** The option of commands that end with an error where no hub answers. */
export function addTimeout(command: Command): Command {
  const option = new Option('--timeout <duration>', 'longest wait for a connection')
  return command.addOption(option.argParser(durationOf('timeout', 1)).default(10_000, '10s'))
}

export function webSocketUrl(given: string): string {
  // An empty FANFARE_URL is not set.
  const text = said(given) ?? LOCAL
  if (URL.canParse(text) && ['ws:', 'wss:'].includes(new URL(text).protocol)) return text
  throw new FanfareError('bad_config', `url: "${text}" does not begin with ws:// or wss://`)
}

/** Reads the whole number of an option, `least` or more. */
export function wholeNumber(name: string, least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const number = /^\d+$/.test(text) ? Number(text) : Number.NaN
    if (number >= least && number <= most) return number
    const range = most === Number.MAX_SAFE_INTEGER ? `from ${least}` : `from ${least} to ${most}`
    throw new FanfareError('bad_config', `${name}: "${text}" is no whole number ${range}`)
  }
}

/** Reads a duration, such as `30s`, or milliseconds; gives milliseconds, `least` or more. */
export function durationOf(name: string, least: number): (text: string) => number {
  return (text) => {
    const ms = Math.ceil(durationMs(/^\d+$/.test(text) ? Number(text) : text) ?? Number.NaN)
    if (ms >= least) return ms
    throw new FanfareError('bad_config', `${name}: "${text}" is not a duration, such as 250ms, 30s or 5m`)
  }
}

/** Collects repeated `name=value`. */
export function collectHeader(text: string, before: Record<string, string> = {}): Record<string, string> {
  const [name, ...rest] = text.split('=')
  if (!name || rest.length === 0) throw new FanfareError('bad_config', `header: "${text}" is not name=value`)
  return { ...before, [name]: rest.join('=') }
}
