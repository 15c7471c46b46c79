import type { Command } from 'commander'
import { duration, size } from './table.ts'
import { UsageError } from './usage.ts'

/** The same options for an update, which has no defaults: what is not given stays. */
export function withoutDefaults(command: Command): Command {
  for (const option of command.options) option.description = option.description.replace(/ \(default: [^)]*\)$/, '')
  return command
}

/** Throws if an update names nothing that is to change. */
export function mustChange(changes: object): void {
  if (Object.keys(changes).length === 0)
    throw new UsageError('Say what to change: topics, or options such as --max-bytes.')
}

/** What an update has changed: each option with its value before and after. */
export function changesText<Options extends object>(
  what: string,
  before: Options,
  after: Options,
  options: readonly (keyof Options & string)[],
): string {
  const changed = options.flatMap((option) => {
    const [was, is] = [before[option], after[option]].map((value) => shown(option, value))
    return was === is ? [] : [`${wordsOf(option)} ${was} → ${is}`]
  })
  return changed.length === 0
    ? `Nothing to change: ${what} has these options.`
    : `Updated ${what}: ${changed.join(', ')}.`
}

/** `ackDeadlineMs` is "ack deadline". */
function wordsOf(option: string): string {
  return option.replace(/Ms$/, '').replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}

function shown(option: string, value: unknown): string {
  if (value === undefined) return 'no limit'
  if (typeof value !== 'object') {
    if (option.endsWith('Ms')) return duration(Number(value))
    return option === 'maxBytes' ? size(Number(value)) : String(value)
  }
  return JSON.stringify(value)
}
