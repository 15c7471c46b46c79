import { Command, Option } from 'commander'
import { connect } from '../../client/node.ts'
import type { StreamAdmin, StreamDeclaration } from '../../client/streams.ts'
import { FanfareError } from '../../shared/errors.ts'
import type { StreamInfo } from '../../shared/streams.ts'
import { connected } from './connected.ts'
import { addTimeout, addUrl, wholeNumber } from './connection-options.ts'
import { streamDetails, streamTable } from './stream-table.ts'

interface HubOptions {
  readonly url: string
  readonly timeoutMs: number
  readonly json?: true
}

type Declared = HubOptions & Omit<StreamDeclaration, 'name' | 'topics'>

export function streamsCommand(): Command {
  const streams = new Command('streams').description('look at the streams of a hub, and change them')
  streams.addCommand(
    common('list', 'all streams in a table').action((options: HubOptions) =>
      ask(options, async (admin) => print(await admin.list(), options, streamTable)),
    ),
    { isDefault: true },
  )
  const one = (name: string, text: string) => common(name, text).argument('<name>', 'of the stream')
  streams.addCommand(
    one('show', 'everything about one stream, its cursors too').action((name: string, options: HubOptions) =>
      ask(options, async (admin) => print([await admin.show(name)], options, details)),
    ),
  )
  streams.addCommand(declareCommand())
  streams.addCommand(
    one('trim', 'let go of the messages before an offset, or of all')
      .addOption(new Option('--before <offset>', 'the first that stays').argParser(wholeNumber('before', 0)))
      .addOption(new Option('--all', 'nothing stays').conflicts('before'))
      .action((name: string, options: HubOptions & { before?: number; all?: true }) => trim(name, options)),
  )
  streams.addCommand(
    one('delete', 'delete it with its messages and cursors').action((name: string, options: HubOptions) =>
      ask(options, (admin) => admin.delete(name)),
    ),
  )
  return streams
}

function declareCommand(): Command {
  return common('declare', 'declare a stream, or find it declared like that')
    .argument('<name>', 'of the stream')
    .argument('<topics...>', 'patterns of the topics that it captures')
    .option('--max-age <duration>', 'how long messages are kept, such as 12h, 7d or 2w')
    .option('--max-bytes <n>', 'most bytes kept', wholeNumber('max-bytes', 1))
    .option('--max-messages <n>', 'most messages kept', wholeNumber('max-messages', 1))
    .option('--last-value', 'keep the newest message of each topic and key alone')
    .addOption(new Option('--durability <when>', 'when a publish is kept').choices(['disk', 'os']))
    .action((name: string, topics: string[], { url, timeoutMs, json, ...declaration }: Declared) =>
      ask({ url, timeoutMs }, async (admin) =>
        print([await admin.declare({ name, topics, ...declaration })], json ? { json } : {}, details),
      ),
    )
}

function common(name: string, text: string): Command {
  return addTimeout(addUrl(new Command(name)))
    .description(text)
    .option('--json', 'a line of JSON for each stream')
}

async function trim(name: string, options: HubOptions & { before?: number; all?: true }): Promise<void> {
  const { before, all } = options
  if (before === undefined && !all) throw new FanfareError('bad_config', 'trim: say --before <offset>, or --all')
  await ask(options, async (admin) => print([await admin.trim(name, before)], options, details))
}

async function ask({ url, timeoutMs }: HubOptions, task: (admin: StreamAdmin) => Promise<void>): Promise<void> {
  const client = connect(url, { name: 'fanfare streams' })
  try {
    await connected(client, url, timeoutMs)
    await task(client.streams)
  } finally {
    await client.close()
  }
}

function print(
  streams: readonly StreamInfo[],
  { json }: { readonly json?: true },
  readable: (streams: readonly StreamInfo[]) => string,
): void {
  process.stdout.write(json ? streams.map((stream) => `${JSON.stringify(stream)}\n`).join('') : readable(streams))
}

function details(streams: readonly StreamInfo[]): string {
  return streams.map((stream) => streamDetails(stream, Date.now())).join('\n')
}
