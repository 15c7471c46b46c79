/** Formats figures for the hub's sentences. */

export function count(value: number): string {
  return Math.round(value).toLocaleString('en')
}

/** `1 message`, `1,204 messages`. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`
}

/** `0.3`, `12`, `48,210`. */
export function rate(perSecond: number): string {
  if (perSecond > 0 && perSecond < 0.05) return 'fewer than 0.1'
  return perSecond > 0 && perSecond < 9.95 ? perSecond.toFixed(1) : count(perSecond)
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** `512 bytes`, `3.4 MiB`. */
export function size(bytes: number): string {
  let value = bytes
  let unit = 0
  for (; value >= 1024 && unit < UNITS.length - 1; unit++) value /= 1024
  return `${unit === 0 || value >= 100 || Number.isInteger(value) ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`
}

/** `340 ms`, `12 s`, `3 min`, `5 h`, `4 days`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${Math.round(ms / 1000)} s`
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`
  if (ms < 2 * 86_400_000) return `${Math.round(ms / 3_600_000)} h`
  return `${Math.round(ms / 86_400_000)} days`
}

export function percent(part: number): string {
  return `${Math.round(part * 100)} %`
}
