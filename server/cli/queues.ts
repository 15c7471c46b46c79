import { Command, Option } from 'commander'
import type { QueueDeclaration } from '../../shared/declarations.ts'
import type { QueueInfo } from '../../shared/queues.ts'
import { askHub, asking, type CommandOptions, print, report } from './ask-hub.ts'
import { type Confirmable, confirm, confirmable, mustConfirm } from './confirm.ts'
import { collectHeader, integer } from './connection-options.ts'
import { deadLettersCommand } from './dead-letters.ts'
import { type Example, withExamples } from './examples.ts'
import { queueDetails, queueTable } from './queue-table.ts'
import { counted } from './table.ts'

interface DeclareQueueOptions extends CommandOptions, Omit<QueueDeclaration, 'name' | 'bindings' | 'backoff'> {
  readonly header?: Record<string, string>
  readonly any?: true
  readonly backoffBase?: string
  readonly backoffCap?: string
}

type DeletingOptions = CommandOptions & Confirmable

export function queuesCommand(): Command {
  const command = new Command('queues').description('list, inspect, declare, purge and delete queues')
  const one = (name: string, text: string, ...examples: Example[]) =>
    withExamples(asking(name, text).argument('<name>', 'name of the queue'), ...examples)
  command.addCommand(withExamples(asking('list', 'list all queues, with warnings').action(list), ['fanfare queues']), {
    isDefault: true,
  })
  command.addCommand(
    one('show', 'show one queue with its bindings and parked groups', ['fanfare queues show mails']).action(show),
  )
  command.addCommand(declareCommand())
  command.addCommand(
    confirmable(
      one('delete', 'delete a queue with its messages and dead letters', ['fanfare queues delete mails --yes']),
    ).action(deleteQueue),
  )
  command.addCommand(
    confirmable(
      one('purge', 'delete waiting messages; unacked messages and dead letters are kept', [
        'fanfare queues purge mails --yes',
      ]),
    ).action(purge),
  )
  command.addCommand(
    one('unpark', 'resume a group that was parked after one of its messages was dead-lettered', [
      'fanfare queues unpark mails customer-17',
    ])
      .argument('<key>', 'key of the group')
      .action(unpark),
  )
  return withExamples(
    command.addCommand(deadLettersCommand()),
    ['fanfare queues'],
    [`fanfare queues declare mails 'mails.#' --max-attempts 3`],
    ['fanfare queues dead-letters list mails'],
  )
}

function declareCommand(): Command {
  const oneOf = (flags: string, text: string, choices: readonly string[]) => new Option(flags, text).choices(choices)
  const command = asking('declare', 'declare a queue; succeeds if it exists with the same options')
    .argument('<name>', 'name of the queue')
    .argument('[topics...]', 'topics or patterns whose messages go to the queue')
    .option('-H, --header <name=value>', 'only messages with this header; can be repeated', collectHeader)
    .option('--any', 'one of the headers is enough (default: all of them)')
    .option('--ack-deadline <duration>', 'how long a consumer has for a message before redelivery (default: 30s)')
    .option(
      '--max-attempts <n>',
      'deliveries before a message is dead-lettered (default: 5)',
      integer('--max-attempts', 1),
    )
    .option('--backoff-base <duration>', 'wait before the second attempt; doubles with each (default: 1s)')
    .option('--backoff-cap <duration>', 'maximum wait between attempts (default: 60s)')
    .option('--max-messages <n>', 'maximum messages (default: 1 billion)', integer('--max-messages', 1))
    .option('--max-bytes <n>', 'maximum bytes (default: 10 GiB)', integer('--max-bytes', 1))
    .addOption(
      oneOf('--overflow <what>', 'what happens to a publish if the queue is full (default: reject)', [
        'reject',
        'drop-oldest',
        'dead-letter',
        'block',
      ]),
    )
    .addOption(
      oneOf('--on-expiry <what>', 'what happens to an expired message (default: drop)', ['drop', 'dead-letter']),
    )
    .addOption(
      oneOf('--on-dead-letter <what>', 'what happens to a group after a dead letter (default: continue)', [
        'continue',
        'park',
      ]),
    )
    .option(
      '--max-dead-letters <n>',
      'maximum dead letters, then the oldest are dropped (default: 10000)',
      integer('--max-dead-letters', 1),
    )
    .action((name: string, topics: string[], { url, token, timeout, json, ...declared }: DeclareQueueOptions) =>
      askHub({ url, timeout, ...(token !== undefined && { token }) }, async ({ admin: { queues } }) =>
        print([await queues.declare(declarationOf(name, topics, declared))], json ? { json } : {}, details),
      ),
    )
  return withExamples(
    command,
    [`fanfare queues declare mails 'mails.#' --max-attempts 3`],
    [`fanfare queues declare thumbnails 'photos.*' --header kind=jpeg --ack-deadline 2m`],
  )
}

function declarationOf(
  name: string,
  topics: readonly string[],
  { header, any, backoffBase: base, backoffCap: cap, ...rest }: Omit<DeclareQueueOptions, keyof CommandOptions>,
): QueueDeclaration {
  const match = header && (any ? { any: header } : { all: header })
  const backoff = { ...(base !== undefined && { base }), ...(cap !== undefined && { cap }) }
  return { name, bindings: topics.map((topic) => ({ topic, ...(match && { match }) })), backoff, ...rest }
}

function list(options: CommandOptions): Promise<void> {
  return askHub(options, async ({ admin: { queues } }) => print(await queues.list(), options, queueTable))
}

function show(name: string, options: CommandOptions): Promise<void> {
  return askHub(options, async ({ admin: { queues } }) => print([await queues.show(name)], options, details))
}

async function deleteQueue(name: string, options: DeletingOptions): Promise<void> {
  mustConfirm(options, `delete queue "${name}"`)
  await askHub(options, async ({ admin: { queues } }) => {
    const { depth, inFlight, deadLetters } = await queues.show(name)
    const messages = depth + inFlight
    const content = `${counted(messages, 'message')} and ${counted(deadLetters, 'dead letter')}`
    await confirm(options, `Delete queue "${name}" with ${content}?`)
    await queues.delete(name)
    report({ name, messages, deadLetters }, options, `Deleted queue "${name}" with ${content}.`)
  })
}

async function purge(name: string, options: DeletingOptions): Promise<void> {
  mustConfirm(options, `purge queue "${name}"`)
  await askHub(options, async ({ admin: { queues } }) => {
    if (!options.yes) {
      const { depth } = await queues.show(name)
      await confirm(options, `Delete the ${counted(depth, 'message')} waiting in queue "${name}"?`)
    }
    const count = await queues.purge(name)
    report({ count }, options, `Deleted ${counted(count, 'message')} from queue "${name}".`)
  })
}

function unpark(name: string, key: string, options: CommandOptions): Promise<void> {
  return askHub(options, async ({ admin: { queues } }) => {
    await queues.unpark(name, key)
    report({ name, key }, options, `Resumed group "${key}" of queue "${name}".`)
  })
}

function details(queues: readonly QueueInfo[]): string {
  return queues.map(queueDetails).join('\n')
}
