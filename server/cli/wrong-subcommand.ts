import type { Command } from 'commander'
import { UsageError } from './usage.ts'

/**
 * Refuses a subcommand that does not exist. The parser would take it for an argument of the group's default command, and complain of
 * that command's options and arguments.
 */
export function checkSubcommand(program: Command, args: readonly string[]): void {
  let group = program
  for (const arg of args) {
    if (group.commands.length === 0 || arg.startsWith('-') || arg === 'help') return
    const next = group.commands.find((command) => command.name() === arg || command.aliases().includes(arg))
    if (!next) throw new UsageError(`"${pathOf(group)} ${arg}" is not a command. ${existing(group)}`)
    group = next
  }
}

function existing(group: Command): string {
  const names = group.commands.map((command) => command.name())
  return `The commands of "${pathOf(group)}" are: ${names.join(', ')}.`
}

/** A command with the names of the groups that it is in. */
export function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name()
}
