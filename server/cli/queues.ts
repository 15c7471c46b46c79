import { Command, Option } from 'commander'
import type { QueueDeclaration } from '../../client/queues.ts'
import type { QueueInfo } from '../../shared/queues.ts'
import { askHub, asking, type CommandOptions, print } from './ask-hub.ts'
import { collectHeader, wholeNumber } from './connection-options.ts'
import { deadLettersCommand } from './dead-letters.ts'
import { counted, queueDetails, queueTable } from './queue-table.ts'

interface DeclareQueueOptions extends CommandOptions, Omit<QueueDeclaration, 'name' | 'bindings' | 'backoff'> {
  readonly header?: Record<string, string>
  readonly any?: true
  readonly backoffBase?: string
  readonly backoffCap?: string
}

export function queuesCommand(): Command {
  const command = new Command('queues').description(
    'look at the queues of a hub and their dead letters, and change them',
  )
  command.addCommand(
    asking('list', 'all queues in a table, and which of them only grow').action((options: CommandOptions) =>
      askHub(options, async ({ admin: { queues } }) => print(await queues.list(), options, queueTable)),
    ),
    { isDefault: true },
  )
  const one = (name: string, text: string) => asking(name, text).argument('<name>', 'of the queue')
  command.addCommand(
    one('show', 'everything about one queue, its parked groups too').action((name: string, options: CommandOptions) =>
      askHub(options, async ({ admin: { queues } }) => print([await queues.show(name)], options, details)),
    ),
  )
  command.addCommand(declareCommand())
  command.addCommand(
    one('delete', 'delete it with its messages and dead letters').action((name: string, options: CommandOptions) =>
      askHub(options, ({ admin: { queues } }) => queues.delete(name)),
    ),
  )
  command.addCommand(
    one('purge', 'let go of the messages that wait').action((name: string, options: CommandOptions) =>
      askHub(options, async ({ admin: { queues } }) =>
        print([{ count: await queues.purge(name) }], options, counted('let go')),
      ),
    ),
  )
  command.addCommand(
    one('unpark', 'let a group go on that waits since one of it died')
      .argument('<key>', 'of the group')
      .action((name: string, key: string, options: CommandOptions) =>
        askHub(options, ({ admin: { queues } }) => queues.unpark(name, key)),
      ),
  )
  return command.addCommand(deadLettersCommand())
}

function declareCommand(): Command {
  const oneOf = (flags: string, text: string, choices: readonly string[]) =>
    new Option(flags, text).choices([...choices])
  return asking('declare', 'declare a queue, or find it declared like that')
    .argument('<name>', 'of the queue')
    .argument('[topics...]', 'patterns of the topics that feed it')
    .option('--header <name=value>', 'only messages that have this header, may be repeated', collectHeader)
    .option('--any', 'one of those headers is enough')
    .option('--ack-deadline <duration>', 'time for a delivery, such as 30s')
    .option('--max-attempts <n>', 'deliveries before the dead letters', wholeNumber('max-attempts', 1))
    .option('--backoff-base <duration>', 'the first wait before another attempt')
    .option('--backoff-cap <duration>', 'the longest one')
    .option('--max-messages <n>', 'most messages, those on lease included', wholeNumber('max-messages', 1))
    .option('--max-bytes <n>', 'most bytes', wholeNumber('max-bytes', 1))
    .addOption(oneOf('--overflow <what>', 'beyond those', ['reject', 'drop-oldest', 'dead-letter', 'block']))
    .addOption(oneOf('--on-expiry <what>', 'of a message that expires', ['drop', 'dead-letter']))
    .addOption(oneOf('--on-dead-letter <what>', 'of the group of one that died', ['continue', 'park']))
    .option('--max-dead-letters <n>', 'most dead letters', wholeNumber('max-dead-letters', 1))
    .action((name: string, topics: string[], { url, token, timeout, json, ...declared }: DeclareQueueOptions) =>
      askHub({ url, timeout, ...(token !== undefined && { token }) }, async ({ admin: { queues } }) =>
        print([await queues.declare(declarationOf(name, topics, declared))], json ? { json } : {}, details),
      ),
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

function details(queues: readonly QueueInfo[]): string {
  return queues.map(queueDetails).join('\n')
}
