import { Writable } from 'node:stream'
import { type Level, type Logger, pino } from 'pino'

interface Line {
  readonly msg: string
  readonly [field: string]: unknown
}

/** The log of a hub, kept so that a test may read it: a record a line. */
export function keptLog(level: Level = 'info'): { log: Logger; lines: Line[] } {
  const lines: Line[] = []
  const sink = new Writable({
    write(line, _, done) {
      lines.push(JSON.parse(line.toString()))
      done()
    },
  })
  return { log: pino({ level }, sink), lines }
}
