/** How the page writes numbers. */

const whole = new Intl.NumberFormat('en')

export function count(n: number): string {
  return whole.format(Math.round(n))
}

/** `1 photo`, `2 photos`. */
export function counted(n: number, word: string): string {
  return `${count(n)} ${word}${n === 1 ? '' : 's'}`
}

/** In units of 1,024, as the service counts its limits. */
export function bytesText(bytes: number): string {
  if (bytes < 1024) return counted(bytes, 'byte')
  if (bytes < 1024 * 1024) return `${count(bytes / 1024)} kB`
  return `${(bytes / 1024 / 1024).toFixed(1).replace('.0', '')} MB`
}
