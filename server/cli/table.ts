/** Rows as a table in which each column is as wide as its widest cell. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    rows.reduce((widest, row) => Math.max(widest, row[column]?.length ?? 0), 0),
  )
  const line = (row: readonly string[]) => row.map((cell, column) => cell.padEnd(widths[column] as number)).join('  ')
  return rows.map((row) => `${line(row).trimEnd()}\n`).join('')
}

export function count(value: number): string {
  return value.toLocaleString('en')
}

export function rate(perSecond: number): string {
  return `${perSecond.toLocaleString('en', { maximumFractionDigits: perSecond < 10 ? 1 : 0 })}/s`
}

/** `1 message`, `2 messages`. */
export function counted(number: number, noun: string): string {
  return `${count(number)} ${noun}${number === 1 ? '' : 's'}`
}

const BYTES = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const

export function size(bytes: number): string {
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

/** In the form of a declaration if that is exact, otherwise the two largest units. */
export function duration(ms: number): string {
  const exact = TIMES.find(([, length]) => ms >= length && ms % length === 0)
  if (exact) return `${ms / exact[1]}${exact[0]}`
  const largest = TIMES.findIndex(([, length]) => ms >= length)
  if (largest < 0) return `${Math.max(0, Math.round(ms))}ms`
  const [unit, length] = TIMES[largest] as (typeof TIMES)[number]
  const next = TIMES[largest + 1]
  const rest = next ? Math.floor((ms % length) / next[1]) : 0
  return `${Math.floor(ms / length)}${unit}${rest > 0 ? ` ${rest}${next?.[0]}` : ''}`
}

export function ago(time: number | undefined, now: number): string {
  return time === undefined ? '' : `${duration(now - time)} ago`
}

export function at(time: number | undefined, now: number): string {
  return time === undefined ? '' : `${new Date(time).toISOString()}, ${ago(time, now)}`
}
