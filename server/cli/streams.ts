import { Command, Option } from 'commander'
import type { StreamAdmin, StreamDeclaration } from '../../client/streams.ts'
import { FanfareError } from '../../shared/errors.ts'
import type { CursorInfo, CursorPage, StreamInfo } from '../../shared/streams.ts'
import { askHub, asking, type CommandOptions, print } from './ask-hub.ts'
import { wholeNumber } from './connection-options.ts'
import { cursorTable, streamDetails, streamTable } from './stream-table.ts'

type DeclareStreamOptions = CommandOptions & Omit<StreamDeclaration, 'name' | 'topics'>

export function streamsCommand(): Command {
  const command = new Command('streams').description('look at the streams of a hub, and change them')
  command.addCommand(
    asking('list', 'all streams in a table').action((options: CommandOptions) =>
      askHub(options, async ({ admin: { streams, hub } }) =>
        print(await streams.list(), options, streamTable, hub.now()),
      ),
    ),
    { isDefault: true },
  )
  const one = (name: string, text: string) => asking(name, text).argument('<name>', 'of the stream')
  command.addCommand(
    one('show', 'everything about one stream, its cursors too').action((name: string, options: CommandOptions) =>
      askHub(options, async ({ admin: { streams, hub } }) =>
        print([await streams.show(name)], options, details, hub.now()),
      ),
    ),
  )
  command.addCommand(declareCommand())
  command.addCommand(
    one('trim', 'let go of the messages before an offset, or of all')
      .addOption(new Option('--before <offset>', 'the first that stays').argParser(wholeNumber('before', 0)))
      .addOption(new Option('--all', 'nothing stays').conflicts('before'))
      .action((name: string, options: CommandOptions & { before?: number; all?: true }) => trim(name, options)),
  )
  command.addCommand(
    one('delete', 'delete it with its messages and cursors').action((name: string, options: CommandOptions) =>
      askHub(options, ({ admin: { streams } }) => streams.delete(name)),
    ),
  )
  command.addCommand(
    one('cursors', 'all its cursors, or those that may be seen').action((name: string, options: CommandOptions) =>
      askHub(options, async ({ admin: { streams } }) => print(await allCursors(streams, name), options, cursors)),
    ),
  )
  command.addCommand(
    one('delete-cursor', 'delete a cursor; its next reader starts where it says')
      .argument('<cursor>', 'its name')
      .action((name: string, cursor: string, options: CommandOptions) =>
        askHub(options, ({ admin: { streams } }) => streams.deleteCursor(name, cursor)),
      ),
  )
  return command
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

function cursors(all: readonly CursorInfo[]): string {
  return cursorTable(all, Date.now())
}

function declareCommand(): Command {
  return asking('declare', 'declare a stream, or find it declared like that')
    .argument('<name>', 'of the stream')
    .argument('<topics...>', 'patterns of the topics that it captures')
    .option('--max-age <duration>', 'how long messages are kept, such as 12h, 7d or 2w')
    .option('--max-bytes <n>', 'most bytes kept', wholeNumber('max-bytes', 1))
    .option('--max-messages <n>', 'most messages kept', wholeNumber('max-messages', 1))
    .option('--last-value', 'keep the newest message of each topic and key alone')
    .addOption(new Option('--durability <when>', 'when a publish is kept').choices(['disk', 'os']))
    .action((name: string, topics: string[], { url, token, timeout, json, ...declaration }: DeclareStreamOptions) =>
      askHub({ url, timeout, ...(token !== undefined && { token }) }, async ({ admin: { streams, hub } }) =>
        print([await streams.declare({ name, topics, ...declaration })], json ? { json } : {}, details, hub.now()),
      ),
    )
}

async function trim(name: string, options: CommandOptions & { before?: number; all?: true }): Promise<void> {
  const { before, all } = options
  if (before === undefined && !all) throw new FanfareError('bad_config', 'trim: say --before <offset>, or --all')
  await askHub(options, async ({ admin: { streams, hub } }) =>
    print([await streams.trim(name, before)], options, details, hub.now()),
  )
}

function details(streams: readonly StreamInfo[], now: number): string {
  return streams.map((stream) => streamDetails(stream, now)).join('\n')
}
