/** Formats figures the same way on every page. */

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const tenths = new Intl.NumberFormat('en', { maximumFractionDigits: 1 })
const short = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 })

/** `1,204`, `12.3 million`. */
export function count(n: number): string {
  if (n < 1_000_000) return whole.format(n)
  if (n < 1_000_000_000) return `${short.format(n / 1_000_000)} million`
  return `${short.format(n / 1_000_000_000)} billion`
}

/** `12,345,678`, exact: for offsets, and for numbers that an operator may act on. */
export function exact(n: number): string {
  return whole.format(n)
}

/** `1 message`, `12,345,678 messages`. */
export function counted(n: number, one: string, many = `${one}s`): string {
  return `${exact(n)} ${n === 1 ? one : many}`
}

/** The label of a connection: the client's name if it has visible characters, otherwise the connection's id. */
export function connectionName({
  client,
  connection,
}: {
  readonly client?: string | undefined
  readonly connection: string
}): string {
  return client !== undefined && VISIBLE.test(client) ? client : connection
}
const VISIBLE = /[\p{L}\p{N}\p{P}\p{S}]/u

/** A key in visible form: in quotation marks if it is only white space. */
export function shownKey(key: string): string {
  return VISIBLE.test(key) ? key : JSON.stringify(key)
}

/** Isolates foreign text in one of our sentences, so that its writing direction ends with it. */
export function isolated(text: string): string {
  return TURNS.test(text) ? `\u2068${text}\u2069` : text
}
/** Right-to-left letters, and marks that change the writing direction. */
const TURNS =
  /[\u0590-\u08ff\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u

/** A rate per second: `0.3`, `12`, `48,210`. */
export function rate(n: number): string {
  if (n > 0 && n < 0.05) return '< 0.1'
  // Not 10.0, which would suggest more precision than there is.
  return n > 0 && n < 9.95 ? tenths.format(n) : count(Math.round(n))
}

/** For a chart's axis: `0`, `50`, `12 k`, `3 M`. */
export function tick(n: number): string {
  if (Math.abs(n) < 1000) return short.format(n)
  if (Math.abs(n) < 1_000_000) return `${short.format(n / 1000)} k`
  return `${short.format(n / 1_000_000)} M`
}

/** `512 B`, `781 KiB`, `1 MiB`. */
export function bytes(n: number): string {
  let unit = 0
  let value = n
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  return `${value < 10 ? short.format(value) : whole.format(value)} ${UNITS[unit]}`
}
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

/** `340 ms`, `4.2 s`, `3 min`, `2.5 h`, `7 d`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${whole.format(ms)} ms`
  if (ms < 60_000) return `${ms < 10_000 ? tenths.format(ms / 1000) : whole.format(ms / 1000)} s`
  if (ms < 3_600_000) return `${whole.format(ms / 60_000)} min`
  if (ms < 2 * 86_400_000) return `${short.format(ms / 3_600_000)} h`
  return `${short.format(ms / 86_400_000)} d`
}

/** `12:03:04`, with the date in front unless it is today. */
export function clock(ms: number): string {
  const date = new Date(ms)
  const time = date.toLocaleTimeString('en-GB')
  return date.toDateString() === new Date().toDateString() ? time : `${date.toLocaleDateString('en-CA')} ${time}`
}

/** `2026-11-26 12:03:04 GMT+1`: date, time and time zone. */
export function fullTime(ms: number): string {
  const date = new Date(ms)
  return `${date.toLocaleDateString('en-CA')} ${date.toLocaleTimeString('en-GB', { timeZoneName: 'short' })}`
}

/** The first line of a text. */
export function firstLine(text: string): string {
  return text.split(/[\r\n]/, 1)[0] ?? ''
}

/** `1.2 %`, for a part of one. */
export function percent(part: number): string {
  return `${part < 0.1 ? (part * 100).toFixed(1) : whole.format(part * 100)} %`
}
