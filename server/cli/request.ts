import { Command, Option } from 'commander'
import { askHub } from './ask-hub.ts'
import { addHub, addTimeout, collectHeader, durationOf, type HubAddress } from './connection-options.ts'
import { jsonLine, parseData, shownData } from './data.ts'

interface RequestFlags extends HubAddress {
  /** In milliseconds, as `replyTimeout`. */
  readonly timeout: number
  readonly replyTimeout: number
  readonly header?: Record<string, string>
}

export function requestCommand(): Command {
  return addTimeout(addHub(new Command('request')))
    .description('ask whoever responds on a topic, and print the reply as a line of JSON')
    .argument('<topic>')
    .argument('[data]', 'JSON; what is not JSON is sent as a string')
    .addOption(
      new Option('--reply-timeout <duration>', 'longest wait for the reply')
        .argParser(durationOf('reply-timeout', 1))
        .default(10_000, '10s'),
    )
    .option('--header <name=value>', 'header of the request, may be repeated', collectHeader)
    .action((topic: string, data: string | undefined, { header, replyTimeout, ...hub }: RequestFlags) =>
      askHub(hub, async (client) => {
        const options = { timeout: replyTimeout, raw: true, ...(header && { headers: header }) }
        const reply = await client.request<string>(topic, data === undefined ? undefined : parseData(data), options)
        const { data: json = null, base64 } = shownData({ data: reply, raw: reply })
        process.stdout.write(`${jsonLine(base64 === undefined ? json : { base64 })}\n`)
      }),
    )
}
