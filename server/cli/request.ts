import { Command } from 'commander'
import { askHub } from './ask-hub.ts'
import { addHub, addTimeout, collectHeader, type HubAddress, wholeNumber } from './connection-options.ts'
import { parseData, shownData } from './data.ts'

interface RequestOptions extends HubAddress {
  readonly timeoutMs: number
  readonly replyMs: number
  readonly header?: Record<string, string>
}

export function requestCommand(): Command {
  return addTimeout(addHub(new Command('request')))
    .description('ask whoever responds on a topic, and print the reply as a line of JSON')
    .argument('<topic>')
    .argument('[data]', 'JSON; what is not JSON is sent as a string')
    .option('--reply-ms <n>', 'longest wait for the reply', wholeNumber('reply-ms', 1), 10_000)
    .option('--header <name=value>', 'header of the request, may be repeated', collectHeader)
    .action((topic: string, data: string | undefined, { header, replyMs, ...hub }: RequestOptions) =>
      askHub(hub, async (client) => {
        const options = { timeoutMs: replyMs, ...(header && { headers: header }) }
        const reply = await client.request(topic, data === undefined ? undefined : parseData(data), options)
        const { data: json = null, base64 } = shownData(reply)
        process.stdout.write(`${JSON.stringify(base64 === undefined ? json : { base64 })}\n`)
      }),
    )
}
