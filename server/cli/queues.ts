import { Command } from 'commander'
import type { QueueInfo } from '../../shared/queues.ts'
import { askHub, asking, type CommandOptions, print, report } from './ask-hub.ts'
import { changesText, mustChange, withoutDefaults } from './changes.ts'
import { type Confirmable, confirm, confirmable, mustConfirm } from './confirm.ts'
import { deadLettersCommand } from './dead-letters.ts'
import { type Example, withExamples } from './examples.ts'
import { type QueueFlags, queueOptionsOf, withQueueOptions } from './queue-options.ts'
import { QUEUE_OPTIONS, queueDetails, queueTable } from './queue-table.ts'
import { counted } from './table.ts'

type DeletingOptions = CommandOptions & Confirmable

export function queuesCommand(): Command {
  const command = new Command('queues').description('list, inspect, declare, change, purge and delete queues')
  const one = (name: string, text: string, ...examples: Example[]) =>
    withExamples(asking(name, text).argument('<name>', 'name of the queue'), ...examples)
  command.addCommand(withExamples(asking('list', 'list all queues, with warnings').action(list), ['fanfare queues']), {
    isDefault: true,
  })
  command.addCommand(
    one('show', 'show one queue with its bindings and parked groups', ['fanfare queues show mails']).action(show),
  )
  command.addCommand(declareCommand())
  command.addCommand(updateCommand())
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
  const command = withQueueOptions('declare', 'declare a queue; succeeds if it exists with the same options').action(
    (name: string, topics: string[], flags: QueueFlags) =>
      askHub(flags, async ({ admin: { queues } }) =>
        print([await queues.declare({ name, ...queueOptionsOf(topics, flags) })], flags, details),
      ),
  )
  return withExamples(
    command,
    [`fanfare queues declare mails 'mails.#' --max-attempts 3`],
    [`fanfare queues declare thumbnails 'photos.*' --header kind=jpeg --ack-deadline 2m`],
  )
}

function updateCommand(): Command {
  const text = 'change options of a queue; others, and its messages, stay. Topics replace all bindings'
  const command = withoutDefaults(withQueueOptions('update', text)).action(update)
  return withExamples(
    command,
    ['fanfare queues update mails --max-attempts 10 --ack-deadline 2m'],
    [`fanfare queues update mails 'mails.#' 'letters.*'`, 'other bindings'],
  )
}

async function update(name: string, topics: string[], flags: QueueFlags): Promise<void> {
  const changes = queueOptionsOf(topics, flags)
  mustChange(changes)
  await askHub(flags, async ({ admin: { queues } }) => {
    const before = await queues.show(name)
    const after = await queues.update(name, changes)
    report(after, flags, changesText(`queue "${name}"`, before, after, QUEUE_OPTIONS))
  })
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
