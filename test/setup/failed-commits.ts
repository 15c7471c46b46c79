import type { HubProcess } from './hub-process.ts'

interface Line {
  readonly level: number
  readonly msg: string
  readonly [field: string]: unknown
}

/** What the log of a hub has about commits that failed. */
export function failuresIn({ log }: HubProcess): Line[] {
  const lines = log.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Line)
  return lines.filter(({ msg }) => msg === 'a commit failed' || msg === 'commits succeed again')
}
