import { Command, Option } from 'commander'
import type { StreamAdmin } from '../../client/streams.ts'
import type { StreamDeclaration } from '../../shared/declarations.ts'
import type { CursorInfo, CursorPage, StreamInfo } from '../../shared/streams.ts'
import { askHub, asking, type CommandOptions, print, report } from './ask-hub.ts'
import { changesText, mustChange, withoutDefaults } from './changes.ts'
import { type Confirmable, confirm, confirmable, mustConfirm } from './confirm.ts'
import { integer } from './connection-options.ts'
import { type Example, withExamples } from './examples.ts'
import { cursorTable, STREAM_OPTIONS, streamDetails, streamTable } from './stream-table.ts'
import { counted } from './table.ts'
import { UsageError } from './usage.ts'

type StreamFlags = CommandOptions & Omit<StreamDeclaration, 'name' | 'topics'>
type DeletingOptions = CommandOptions & Confirmable
type TrimOptions = DeletingOptions & { readonly before?: number; readonly all?: true }

export function streamsCommand(): Command {
  const command = new Command('streams').description('list, inspect, declare, change, trim and delete streams')
  const one = (name: string, text: string, ...examples: Example[]) =>
    withExamples(asking(name, text).argument('<name>', 'name of the stream'), ...examples)
  command.addCommand(withExamples(asking('list', 'list all streams').action(list), ['fanfare streams']), {
    isDefault: true,
  })
  command.addCommand(one('show', 'show one stream with its cursors', ['fanfare streams show orders']).action(show))
  command.addCommand(declareCommand())
  command.addCommand(updateCommand())
  command.addCommand(
    confirmable(
      one(
        'trim',
        'delete the messages before an offset, or all of them',
        ['fanfare streams trim orders --before 1000'],
        ['fanfare streams trim orders --all --yes'],
      ),
    )
      .addOption(
        new Option('--before <offset>', 'offset of the first message to keep').argParser(integer('--before', 0)),
      )
      .addOption(new Option('--all', 'keep no message').conflicts('before'))
      .action(trim),
  )
  command.addCommand(
    confirmable(
      one('delete', 'delete a stream with its messages and cursors', ['fanfare streams delete orders --yes']),
    ).action(deleteStream),
  )
  command.addCommand(
    one('cursors', 'list the cursors of a stream', ['fanfare streams cursors orders']).action(listCursors),
  )
  command.addCommand(
    confirmable(
      one('delete-cursor', 'delete a cursor: its next reader starts where --from says', [
        'fanfare streams delete-cursor orders reports --yes',
      ]).argument('<cursor>', 'name of the cursor'),
    ).action(deleteCursor),
  )
  return withExamples(command, ['fanfare streams'], [`fanfare streams declare orders 'orders.#' --max-age 30d`])
}

function declareCommand(): Command {
  const command = withStreamOptions(
    asking('declare', 'declare a stream; succeeds if it exists with the same options')
      .argument('<name>', 'name of the stream')
      .argument('<topics...>', 'topics or patterns that it captures'),
  )
    .option('--last-value', 'keep only the newest message of each topic and key')
    .action((name: string, topics: string[], { url, token, timeout, json, ...declaration }: StreamFlags) =>
      askHub({ url, timeout, ...(token !== undefined && { token }) }, async ({ admin: { streams, hub } }) =>
        print([await streams.declare({ name, topics, ...declaration })], json ? { json } : {}, details, hub.now()),
      ),
    )
  return withExamples(
    command,
    [`fanfare streams declare orders 'orders.#' --max-age 30d`],
    [`fanfare streams declare prices 'prices.*' --last-value`, 'the newest price of each topic'],
  )
}

function updateCommand(): Command {
  const command = withoutDefaults(
    withStreamOptions(
      asking('update', 'change options of a stream; others stay. Topics replace all of its topics')
        .argument('<name>', 'name of the stream')
        .argument('[topics...]', 'topics or patterns that it captures'),
    ),
  )
    .option('--last-value', 'keep only the newest message of each topic and key')
    .option('--no-last-value', 'keep all messages of a topic and key')
    .action(update)
  return withExamples(
    command,
    ['fanfare streams update orders --max-age 30d'],
    [`fanfare streams update orders 'orders.#' 'invoices.#'`, 'other topics'],
  )
}

function withStreamOptions(command: Command): Command {
  return command
    .option('--max-age <duration>', 'how long messages are kept, such as 12h, 7d or 2w (default: 7d)')
    .option('--max-bytes <n>', 'maximum bytes kept (default: 10 GiB, in a cluster 256 MiB)', integer('--max-bytes', 1))
    .option('--max-messages <n>', 'maximum messages kept (default: no limit)', integer('--max-messages', 1))
    .addOption(
      new Option(
        '--durability <when>',
        'when a publish is confirmed: on disk, or once the operating system has it (default: disk)',
      ).choices(['disk', 'os']),
    )
}

async function update(name: string, topics: string[], flags: StreamFlags): Promise<void> {
  const { url, token, timeout, json, ...options } = flags
  const changes = { ...options, ...(topics.length > 0 && { topics }) }
  mustChange(changes)
  await askHub(flags, async ({ admin: { streams } }) => {
    const before = await streams.show(name)
    const after = await streams.update(name, changes)
    report(after, flags, changesText(`stream "${name}"`, before, after, STREAM_OPTIONS))
  })
}

function list(options: CommandOptions): Promise<void> {
  return askHub(options, async ({ admin: { streams, hub } }) =>
    print(await streams.list(), options, streamTable, hub.now()),
  )
}

function show(name: string, options: CommandOptions): Promise<void> {
  return askHub(options, async ({ admin: { streams, hub } }) =>
    print([await streams.show(name)], options, details, hub.now()),
  )
}

async function trim(name: string, options: TrimOptions): Promise<void> {
  const { before, all } = options
  if (before === undefined && !all) throw new UsageError('Say what to delete: --before <offset>, or --all.')
  const what = all ? `all messages of stream "${name}"` : `the messages of stream "${name}" before offset ${before}`
  mustConfirm(options, `delete ${what}`)
  await askHub(options, async ({ admin: { streams, hub } }) => {
    await confirm(options, `Delete ${what}?`)
    print([await streams.trim(name, before)], options, details, hub.now())
  })
}

async function deleteStream(name: string, options: DeletingOptions): Promise<void> {
  mustConfirm(options, `delete stream "${name}"`)
  await askHub(options, async ({ admin: { streams } }) => {
    const { messages, cursorCount } = await streams.show(name)
    const content = `${counted(messages, 'message')} and ${counted(cursorCount, 'cursor')}`
    await confirm(options, `Delete stream "${name}" with ${content}?`)
    await streams.delete(name)
    report({ name, messages, cursors: cursorCount }, options, `Deleted stream "${name}" with ${content}.`)
  })
}

function listCursors(name: string, options: CommandOptions): Promise<void> {
  return askHub(options, async ({ admin: { streams, hub } }) =>
    print(await allCursors(streams, name), options, cursorTable, hub.now()),
  )
}

async function deleteCursor(name: string, cursor: string, options: DeletingOptions): Promise<void> {
  const what = `cursor "${cursor}" of stream "${name}"`
  mustConfirm(options, `delete ${what}`)
  await askHub(options, async ({ admin: { streams } }) => {
    await confirm(options, `Delete ${what}?`)
    await streams.deleteCursor(name, cursor)
    report({ name, cursor }, options, `Deleted ${what}.`)
  })
}

async function allCursors(streams: StreamAdmin, name: string): Promise<CursorInfo[]> {
  const all: CursorInfo[] = []
  for (let page: CursorPage | undefined; !page?.end; ) {
    const after = all.at(-1)?.name
    page = await streams.cursors(name, { limit: 1000, ...(after !== undefined && { after }) })
    for (const cursor of page.cursors) all.push(cursor)
  }
  return all
}

function details(streams: readonly StreamInfo[], now: number): string {
  return streams.map((stream) => streamDetails(stream, now)).join('\n')
}
