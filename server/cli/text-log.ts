import { styleText } from 'node:util'

/** Fields of every log line that are shown first or not at all. */
const SHOWN_APART = ['level', 'time', 'pid', 'msg', 'err']
const LEVELS = { 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' } as const
const COLOURS = { debug: 'gray', info: 'green', warn: 'yellow', error: 'red', fatal: 'red' } as const

interface Line {
  readonly level: keyof typeof LEVELS
  readonly time: number
  readonly msg: string
  readonly err?: { readonly message?: string; readonly stack?: string }
  readonly [field: string]: unknown
}

/** The fields of the line that reports a listening hub. */
interface Listening {
  readonly version: string
  readonly url: string
  readonly dashboard: string
  /** Absent for a hub of a cluster, which has the next two fields instead. */
  readonly data?: string
  readonly cluster?: string
  readonly node?: string
  readonly engine: string
  readonly host: string
}

/** A JSON log line as text for people. The line of a listening hub becomes several lines. */
export function readable(json: string, coloured: boolean): string {
  const line = JSON.parse(json) as Line
  const paint = (format: Parameters<typeof styleText>[0], text: string) =>
    coloured ? styleText(format, text, { validateStream: false }) : text
  if (line.msg === 'listening') return banner(line as unknown as Listening, paint)
  const level = LEVELS[line.level] ?? 'info'
  const time = new Date(line.time).toTimeString().slice(0, 8)
  const fields = Object.entries(line).filter(([name]) => !SHOWN_APART.includes(name))
  const rest = fields.map(([name, value]) => ` ${paint('dim', `${name}=`)}${shown(value)}`).join('')
  const error = line.err ? `\n${(line.err.stack ?? line.err.message ?? '').replace(/^/gm, '  ')}` : ''
  return `${paint('dim', time)} ${paint(COLOURS[level], level.padEnd(5))} ${line.msg}${rest}${error}\n`
}

function shown(value: unknown): string {
  return typeof value === 'string' && /^[^\s"]+$/.test(value) ? value : JSON.stringify(value)
}

function banner(hub: Listening, paint: (format: 'bold' | 'dim', text: string) => string): string {
  const isOpen = hub.host === '0.0.0.0' || hub.host === '::'
  const data = hub.data === 'memory' ? 'in memory, lost when the hub stops' : hub.data
  const ofCluster = [['Cluster', hub.cluster] as const, ['Node', hub.node] as const]
  const rows = [
    ['WebSocket', `${hub.url}${isOpen ? '  (on every address of this machine)' : ''}`],
    ['Dashboard', hub.dashboard],
    ...(hub.cluster === undefined ? [['Data', data] as const] : ofCluster),
    ['Engine', hub.engine],
  ] as const
  const lines = rows.map(([name, value]) => `  ${paint('dim', name.padEnd(11))}${value}\n`)
  return `\n${paint('bold', `Fanfare ${hub.version}`)}\n\n${lines.join('')}\n  Press Ctrl-C to stop.\n\n`
}
