import type { Command } from 'commander'

/** A command line, with an explanation if it is not obvious. */
export type Example = readonly [line: string, what?: string]

const examples = new WeakMap<Command, readonly Example[]>()

/** Adds examples to the help of a command and to its page of the reference. */
export function withExamples(command: Command, ...lines: readonly Example[]): Command {
  examples.set(command, lines)
  const text = lines.map(([line, what]) => `${what === undefined ? '' : `  # ${what}\n`}  ${line}`)
  return command.addHelpText('after', `\nExamples:\n${text.join('\n')}`)
}

export function examplesOf(command: Command): readonly Example[] {
  return examples.get(command) ?? []
}
