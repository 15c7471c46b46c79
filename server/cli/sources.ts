import { durationMs } from '../../shared/time.ts'
import { DEFAULTS } from '../defaults.ts'

/** Options with their sources: the name of the variable, the flag or the file. */
interface Sourced {
  readonly options: Readonly<Record<string, unknown>>
  readonly sources: Readonly<Record<string, string>>
}

/** An integer, possibly written with a fraction or an exponent. */
const NUMBER = String.raw`\+?\d+(?:\.\d+)?(?:e\+?\d+)?`
const PLAIN_NUMBER = new RegExp(`^${NUMBER}$`, 'i')
const SIZE = new RegExp(`^(${NUMBER})\\s*(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB|Ki|Mi|Gi|Ti)$`, 'i')
const SIZES: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
  ti: 2 ** 40,
}

/** Options with a fixed set of words. */
const WORDS = ['engine', 'logLevel', 'logFormat', 'compression']

/**
 * Options from environment variables: `FANFARE_OUTBOX_BYTES` is `outboxBytes`. An empty variable counts as not set, because that is
 * how Compose passes on a missing one. `ignored` are variables that are not meant for the hub.
 */
export function fromEnv(env: NodeJS.ProcessEnv): Sourced & { readonly ignored: readonly string[] } {
  const options: Record<string, unknown> = {}
  const sources: Record<string, string> = {}
  const ignored: string[] = []
  for (const name of Object.keys(DEFAULTS)) {
    const variable = `FANFARE_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`
    const text = said(env[variable])
    if (text === undefined) continue
    if (name === 'port' && SERVICE_LINK.test(text)) {
      ignored.push(variable)
      continue
    }
    options[name] = meantBy(name, text)
    sources[name] = variable
  }
  return { options, sources, ignored }
}

/**
 * Kubernetes sets this variable in all containers of a namespace that has a Service named "fanfare": it is the Service's address,
 * not the hub's port.
 */
const SERVICE_LINK = /^(tcp|udp|sctp):\/\//i

export function fromFlags(flags: Readonly<Record<string, string>>): Sourced {
  const names = Object.keys(flags)
  return {
    options: Object.fromEntries(names.map((name) => [name, meantBy(name, trimmed(flags[name] as string))])),
    sources: Object.fromEntries(
      names.map((name) => [name, `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`]),
    ),
  }
}

/** Options from a file. A template may have put numbers in quotes. */
export function fromFile(file: string | undefined, content: Readonly<Record<string, unknown>>): Sourced {
  const names = file === undefined ? [] : Object.keys(content)
  const value = (name: string) => {
    const given = content[name]
    return typeof given === 'string' && name in DEFAULTS ? meantBy(name, given.trim()) : given
  }
  return {
    options: Object.fromEntries(names.map((name) => [name, value(name)])),
    sources: Object.fromEntries(names.map((name) => [name, file as string])),
  }
}

/** The text of a variable or flag; undefined if it is not set. */
export function said(text: string | undefined): string | undefined {
  return text === undefined ? undefined : trimmed(text) || undefined
}

/** Without surrounding spaces, and without the quotes that Docker keeps from an env file. */
function trimmed(text: string): string {
  return text
    .trim()
    .replace(/^(["'])(.*)\1$/, '$2')
    .trim()
}

/** Converts text to the option's type if its meaning is clear. Anything else stays text, and the check refuses it with the option's name. */
function meantBy(name: string, text: string): unknown {
  if (WORDS.includes(name)) return text.toLowerCase()
  const standard = DEFAULTS[name as keyof typeof DEFAULTS]
  // A plain number for a duration is milliseconds.
  if (durationMs(standard) === undefined) return text
  if (PLAIN_NUMBER.test(text)) return Number(text)
  const [, number, unit = ''] = (/bytes/i.test(name) && SIZE.exec(text)) || []
  return number === undefined ? text : Number(number) * (SIZES[unit.toLowerCase().replace(/ib$/, 'i')] as number)
}
