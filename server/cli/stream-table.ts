import type { StreamInfo } from '../../shared/streams.ts'

const COLUMNS = ['name', 'topics', 'messages', 'offsets', 'size', 'oldest', 'newest', 'kept for', 'safe on', 'cursors']

/** Streams for people to read: a line each. */
export function streamTable(streams: readonly StreamInfo[], now = Date.now()): string {
  const rows = streams.map((stream) => [
    stream.name,
    stream.topics.join(' '),
    messages(stream),
    offsets(stream),
    size(stream.bytes),
    ago(stream.oldestAt, now),
    ago(stream.newestAt, now),
    duration(stream.maxAgeMs),
    stream.durability,
    String(Object.keys(stream.cursors).length),
  ])
  return columns([COLUMNS, ...rows])
}

/** One stream for people to read: a line for each thing that is known, and for each cursor. */
export function streamDetails(stream: StreamInfo, now: number): string {
  const { maxAgeMs, maxBytes, maxMessages, cursors, next } = stream
  const lines = [
    ['name', stream.name],
    ['topics', stream.topics.join(' ')],
    ['messages', messages(stream)],
    ['offsets', offsets(stream)],
    ['epoch', stream.epoch],
    ['size', size(stream.bytes)],
    ['oldest', at(stream.oldestAt, now)],
    ['newest', at(stream.newestAt, now)],
    [
      'kept',
      [duration(maxAgeMs), size(maxBytes), ...(maxMessages ? [`${count(maxMessages)} messages`] : [])].join(', '),
    ],
    ['values', stream.lastValue ? 'the newest of each topic and key' : 'all'],
    ['safe on', stream.durability],
    ...Object.entries(cursors).map(([name, { offset }]) => [
      'cursor',
      `${name} at ${count(offset)}, ${count(Math.max(0, next - offset))} behind`,
    ]),
  ]
  return columns(lines)
}

function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]) => row.map((cell, column) => cell.padEnd(widths[column] as number)).join('  ')
  return rows.map((row) => `${line(row).trimEnd()}\n`).join('')
}

function messages({ first, next, lastValue }: StreamInfo): string {
  // Where older values have gone, the offsets have holes.
  return `${lastValue && next > first ? 'at most ' : ''}${count(next - first)}`
}

function offsets({ first, next }: StreamInfo): string {
  return next > first ? `${count(first)} to ${count(next - 1)}` : `none, next ${count(next)}`
}

function count(value: number): string {
  return value.toLocaleString('en')
}

const BYTES = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const

function size(bytes: number): string {
  let value = bytes
  let unit = 0
  for (; value >= 1024 && unit < BYTES.length - 1; unit++) value /= 1024
  return `${unit === 0 || value >= 100 || Number.isInteger(value) ? Math.round(value) : value.toFixed(1)} ${BYTES[unit]}`
}

const TIMES = [
  ['w', 7 * 86_400_000],
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const

/** As a declaration has it where that is exact, else the two largest units. */
function duration(ms: number): string {
  const exact = TIMES.find(([, length]) => ms >= length && ms % length === 0)
  if (exact) return `${ms / exact[1]}${exact[0]}`
  const largest = TIMES.findIndex(([, length]) => ms >= length)
  if (largest < 0) return `${Math.max(0, Math.round(ms))}ms`
  const [unit, length] = TIMES[largest] as (typeof TIMES)[number]
  const next = TIMES[largest + 1]
  const rest = next ? Math.floor((ms % length) / next[1]) : 0
  return `${Math.floor(ms / length)}${unit}${rest > 0 ? ` ${rest}${next?.[0]}` : ''}`
}

function ago(time: number | undefined, now: number): string {
  return time === undefined ? '' : `${duration(now - time)} ago`
}

function at(time: number | undefined, now: number): string {
  return time === undefined ? '' : `${new Date(time).toISOString()}, ${ago(time, now)}`
}
