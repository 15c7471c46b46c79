import { Command, Option } from 'commander'
import type { Client } from '../../client/client.ts'
import type { DeadLetterAdmin } from '../../client/queues.ts'
import type { DeadLetter, DeadLetterFilter, DeadReason } from '../../shared/queues.ts'
import { askHub, asking, type CommandOptions, print, report } from './ask-hub.ts'
import { type Confirmable, confirm, confirmable, mustConfirm } from './confirm.ts'
import { integer } from './connection-options.ts'
import { shownData } from './data.ts'
import { type Example, withExamples } from './examples.ts'
import { EXIT } from './exit.ts'
import { Progress } from './progress.ts'
import { letterTable } from './queue-table.ts'
import { count, counted } from './table.ts'

interface FilterOptions extends CommandOptions {
  readonly topic?: string
  readonly key?: string
  readonly reason?: DeadReason
  readonly error?: string
  readonly letter?: readonly number[]
}

type RedriveOptions = FilterOptions & { readonly to?: string; readonly perSecond?: number }
type PurgeOptions = FilterOptions & Confirmable

/** The maximum that a hub lists at once. */
const PAGE = 1000
/** How often the hub is asked for the progress of a redrive, in milliseconds. */
const LOOK_MS = 500

export function deadLettersCommand(): Command {
  const command = new Command('dead-letters').description('list, redrive and purge the dead letters of a queue')
  command.addCommand(
    filtering(
      'list',
      'list dead letters, oldest first',
      ['fanfare queues dead-letters list mails'],
      ['fanfare queues dead-letters list mails --reason rejected --json'],
    )
      .option('-n, --limit <n>', 'maximum number of dead letters to list', integer('--limit', 1), 100)
      .action(listLetters),
  )
  command.addCommand(
    filtering(
      'redrive',
      'move dead letters back to their queue, or to another one',
      ['fanfare queues dead-letters redrive mails --per-second 50'],
      ['fanfare queues dead-letters redrive mails --letter 7 --to mails-later'],
    )
      .option('--to <queue>', 'move them to this queue')
      .option('--per-second <n>', 'maximum messages per second', integer('--per-second', 1))
      .action(redrive),
  )
  command.addCommand(
    confirmable(
      filtering('purge', 'delete dead letters', ['fanfare queues dead-letters purge mails --reason expired --yes']),
    ).action(purge),
  )
  return withExamples(command, ['fanfare queues dead-letters list mails'])
}

function filtering(name: string, text: string, ...examples: Example[]): Command {
  const collect = (text: string, before: readonly number[] = []) => [...before, integer('--letter', 0)(text)]
  const command = asking(name, text)
    .argument('<name>', 'name of the queue')
    .optionsGroup('Filter (default: all dead letters):')
    .option('--topic <pattern>', 'only messages of matching topics')
    .option('-k, --key <key>', 'only messages with this key')
    .addOption(
      new Option('--reason <reason>', 'only those dead-lettered for this reason').choices([
        'attempts',
        'rejected',
        'expired',
        'overflow',
      ]),
    )
    .option('--error <text>', 'only those whose error contains this text')
    .option('--letter <number>', 'only the dead letter with this number; can be repeated', collect)
    .optionsGroup('Options:')
  return withExamples(command, ...examples)
}

function filterOf({ topic, key, reason, error, letter: letters }: FilterOptions): DeadLetterFilter {
  return { topic, key, reason, error, letters }
}

function listLetters(name: string, options: FilterOptions & { limit: number }): Promise<void> {
  return askHub(options, async ({ admin: { queues, hub } }) =>
    print(await list(queues.deadLetters, name, filterOf(options), options.limit), options, letterTable, hub.now()),
  )
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

function redrive(name: string, options: RedriveOptions): Promise<void> {
  return askHub(options, async (client) => {
    const { to, perSecond } = options
    const watch = await RedriveWatch.start(client, name, filterOf(options))
    const how = { ...(to !== undefined && { to }), ...(perSecond !== undefined && { perSecond }) }
    try {
      const count = await client.admin.queues.deadLetters.redrive(name, filterOf(options), how)
      watch.stop()
      report({ count }, options, `Moved ${counted(count, 'message')} to queue "${to ?? name}".`)
    } finally {
      watch.stop()
    }
  })
}

/** Shows the progress of a redrive on a terminal. On Ctrl-C it reports what is left, and that the hub continues. */
class RedriveWatch {
  private readonly left: () => Promise<number>
  private readonly progress = new Progress()
  private readonly timer: NodeJS.Timeout | undefined

  private constructor(left: () => Promise<number>, total: number) {
    this.left = left
    const look = async () => {
      const moved = total - (await left())
      this.progress.update(() => `moved ${count(moved)} of ${counted(total, 'message')}`)
    }
    // If the hub cannot be asked now, it is asked again next time.
    if (total > 0) this.timer = setInterval(() => void look().catch(() => {}), LOOK_MS)
    process.on('SIGINT', this.interrupted)
  }

  static async start({ admin: { queues } }: Client, name: string, filter: DeadLetterFilter): Promise<RedriveWatch> {
    const left = () => queues.deadLetters.count(name, filter)
    return new RedriveWatch(left, process.stderr.isTTY ? await left() : 0)
  }

  stop(): void {
    clearInterval(this.timer)
    process.off('SIGINT', this.interrupted)
    this.progress.clear()
  }

  private readonly interrupted = async () => {
    this.stop()
    const left = await this.left().catch(() => undefined)
    const rest = left === undefined ? '' : `: ${counted(left, 'dead letter')} left`
    process.stderr.write(`Interrupted. The hub continues to move them${rest}.\n`)
    process.exit(EXIT.interrupted)
  }
}

async function purge(name: string, options: PurgeOptions): Promise<void> {
  mustConfirm(options, `purge the dead letters of queue "${name}"`)
  await askHub(options, async ({ admin: { queues } }) => {
    const filter = filterOf(options)
    if (!options.yes) {
      const found = counted(await queues.deadLetters.count(name, filter), 'dead letter')
      await confirm(options, `Delete ${found} of queue "${name}"?`)
    }
    const count = await queues.deadLetters.purge(name, filter)
    report({ count }, options, `Deleted ${counted(count, 'dead letter')} of queue "${name}".`)
  })
}
