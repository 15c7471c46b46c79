/** How the loads print what they measured. */
export function title(text: string): void {
  print(`\n${text}`)
}

/** A figure, what it is compared with, and its target. */
export function row(name: string, figure: string, beside = '', wanted = ''): void {
  print(`  ${name.padEnd(36)} ${figure.padStart(14)}  ${beside.padEnd(28)} ${wanted}`.trimEnd())
}

export function rate(count: number, seconds: number): string {
  return `${number(count / seconds)}/s`
}

export function latency({ p50, p99 }: { p50: number; p99: number }): string {
  return `p50 ${milliseconds(p50)}, p99 ${milliseconds(p99)}`
}

export function milliseconds(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : 0)} ms`
}

export function number(value: number): string {
  return Math.round(value).toLocaleString('en')
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
