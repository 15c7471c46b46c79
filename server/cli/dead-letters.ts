import { Command, Option } from 'commander'
import type { DeadLetterAdmin } from '../../client/queues.ts'
import type { DeadLetter, DeadLetterFilter, DeadReason } from '../../shared/queues.ts'
import { askHub, asking, type CommandOptions, print } from './ask-hub.ts'
import { wholeNumber } from './connection-options.ts'
import { shownData } from './data.ts'
import { counted, letterTable } from './queue-table.ts'

interface FilterOptions extends CommandOptions {
  readonly topic?: string
  readonly key?: string
  readonly reason?: DeadReason
  readonly error?: string
  readonly letter?: readonly number[]
}

/** Most that a hub lists at once. */
const PAGE = 1000

export function deadLettersCommand(): Command {
  const command = new Command('dead-letters').description('list, redrive and purge what nobody could handle')
  command.addCommand(
    filtering('list', 'dead letters in a table, the oldest first')
      .option('--limit <n>', 'most of them', wholeNumber('limit', 1), 100)
      .action((name: string, options: FilterOptions & { limit: number }) =>
        askHub(options, async ({ admin: { queues, hub } }) =>
          print(
            await list(queues.deadLetters, name, filterOf(options), options.limit),
            options,
            letterTable,
            hub.now(),
          ),
        ),
      ),
  )
  command.addCommand(
    filtering('redrive', 'move dead letters back into their queue, or into another')
      .option('--to <queue>', 'the other queue')
      .option('--per-second <n>', 'so many a second', wholeNumber('per-second', 1))
      .action((name: string, options: FilterOptions & { to?: string; perSecond?: number }) =>
        askHub(options, async ({ admin: { queues } }) => {
          const { to, perSecond } = options
          const how = { ...(to !== undefined && { to }), ...(perSecond !== undefined && { perSecond }) }
          const count = await queues.deadLetters.redrive(name, filterOf(options), how)
          print([{ count }], options, counted('moved'))
        }),
      ),
  )
  command.addCommand(
    filtering('purge', 'let go of dead letters').action((name: string, options: FilterOptions) =>
      askHub(options, async ({ admin: { queues } }) => {
        const count = await queues.deadLetters.purge(name, filterOf(options))
        print([{ count }], options, counted('let go'))
      }),
    ),
  )
  return command
}

function filtering(name: string, text: string): Command {
  const collect = (text: string, before: readonly number[] = []) => [...before, wholeNumber('letter', 0)(text)]
  return asking(name, text)
    .argument('<name>', 'of the queue')
    .option('--topic <pattern>', 'only of topics that match')
    .option('--key <key>', 'only of this group')
    .addOption(
      new Option('--reason <reason>', 'only those that died of it').choices([
        'attempts',
        'rejected',
        'expired',
        'overflow',
      ]),
    )
    .option('--error <text>', 'only those with this text in their error')
    .option('--letter <number>', 'only this one, may be repeated', collect)
}

function filterOf({ topic, key, reason, error, letter: letters }: FilterOptions): DeadLetterFilter {
  return { topic, key, reason, error, letters }
}

async function list(
  admin: DeadLetterAdmin,
  name: string,
  filter: DeadLetterFilter,
  limit: number,
): Promise<DeadLetter[]> {
  const letters: DeadLetter[] = []
  while (letters.length < limit) {
    const wanted = Math.min(PAGE, limit - letters.length)
    const page = await admin.list(name, filter, { from: (letters.at(-1)?.letter ?? -1) + 1, limit: wanted })
    letters.push(...page.map((letter) => ({ ...letter, message: { ...letter.message, ...shownData(letter.message) } })))
    if (page.length < wanted) break
  }
  return letters
}
