/** How the page formats numbers and times, in lists and on axes alike. */

const whole = new Intl.NumberFormat('en')
const time = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' })

export function count(n: number): string {
  return whole.format(Math.round(n))
}

/** `1 photo`, `2 photos`. */
export function counted(n: number, word: string): string {
  return `${count(n)} ${word}${n === 1 ? '' : 's'}`
}

/** In units of 1,024, as in the service's limits. */
export function bytesText(bytes: number): string {
  if (bytes < 1024) return counted(bytes, 'byte')
  if (bytes < 1024 * 1024) return `${count(bytes / 1024)} kB`
  return `${(bytes / 1024 / 1024).toFixed(1).replace('.0', '')} MB`
}

/** The time of day of a time in milliseconds since 1970. */
export function clock(at: number): string {
  return time.format(at)
}

/** A duration in seconds: `0.4 s`. */
export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
