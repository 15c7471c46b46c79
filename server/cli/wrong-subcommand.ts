import type { Command } from 'commander'
import { nearestName } from '../../shared/nearest-name.ts'
import { UsageError } from './usage.ts'

/** Hints for commands that people expect but that do not exist. */
const INSTEAD: Readonly<Record<string, string>> = {
  'fanfare publish': 'Use "fanfare pub".',
  'fanfare subscribe': 'Use "fanfare sub".',
  'fanfare enqueue': 'Use "fanfare pub --queue <name>".',
  'fanfare consume': 'Use "fanfare work", which runs worker processes for a queue.',
  'fanfare start': 'Use "fanfare serve".',
  'fanfare status': 'Use "fanfare hub".',
}

/**
 * Refuses an unknown subcommand. The parser would take it for an argument of the group's default command, and report that command's
 * options and arguments.
 */
export function checkSubcommand(program: Command, args: readonly string[]): void {
  let group = program
  for (const arg of args) {
    if (group.commands.length === 0 || arg.startsWith('-') || arg === 'help') return
    const next = group.commands.find((command) => command.name() === arg || command.aliases().includes(arg))
    if (!next) {
      const wrong = `${pathOf(group)} ${arg}`
      throw new UsageError(`"${wrong}" is not a command. ${INSTEAD[wrong] ?? existing(group, arg)}`)
    }
    group = next
  }
}

function existing(group: Command, wrong: string): string {
  const names = group.commands.map((command) => command.name())
  const nearest = nearestName(wrong, names)
  if (nearest !== undefined) return `Did you mean "${pathOf(group)} ${nearest}"?`
  return `The commands of "${pathOf(group)}" are: ${names.join(', ')}.`
}

/** A command's name with the names of its groups. */
export function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name()
}
