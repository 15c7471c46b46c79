import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Command } from 'commander'
import { UsageError } from './usage.ts'

/** The option of commands that delete something. */
export interface Confirmable {
  readonly yes?: true
}

/** Adds `--yes` to a command that deletes something. */
export function confirmable(command: Command): Command {
  return command.option('-y, --yes', 'do not ask; required if standard input is not a terminal')
}

/**
 * Throws a `UsageError` if `--yes` is missing and there is no terminal to ask on.
 *
 * @param what - completes "Pass --yes to …", such as `delete queue "mails"`
 */
export function mustConfirm({ yes }: Confirmable, what: string): void {
  if (yes || process.stdin.isTTY) return
  throw new UsageError(`Pass --yes to ${what}: standard input is not a terminal, so the command cannot ask.`)
}

/** Asks on the terminal, unless `--yes` was given. Rejects with `Declined` if the answer is not yes. */
export async function confirm({ yes }: Confirmable, question: string): Promise<void> {
  if (!yes && !/^y(es)?$/i.test(await answer(`${question} [y/N] `))) throw new Declined()
}

/** The user answered no. */
export class Declined extends Error {}

/** The line that the user typed; empty if there is none. */
async function answer(question: string): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  try {
    lines.setPrompt(question)
    lines.prompt()
    const typed = once(lines, 'line') as Promise<[string]>
    const ended = once(lines, 'close').then(() => {
      process.stderr.write('\n')
      return ['']
    })
    return ((await Promise.race([typed, ended]))[0] as string).trim()
  } finally {
    lines.close()
  }
}
