import { Command, Option } from 'commander'
import { askHub } from './ask-hub.ts'
import { addHub, addTimeout, collectHeader, durationOf, type HubAddress } from './connection-options.ts'
import { jsonLine, parseData, shownData } from './data.ts'
import { withExamples } from './examples.ts'

interface RequestFlags extends HubAddress {
  /** Both in milliseconds. */
  readonly timeout: number
  readonly replyTimeout: number
  readonly header?: Record<string, string>
  readonly text?: true
}

export function requestCommand(): Command {
  const command = new Command('request')
    .description('send a request to a responder, and print its reply as one line of JSON')
    .argument('<topic>', 'topic that a responder answers on')
    .argument('[data]', 'JSON, or text that is sent as a string')
    .option('-H, --header <name=value>', 'header of the request; can be repeated', collectHeader)
    .option('--text', 'send the data as a string, even if it is JSON')
    .addOption(
      new Option('--reply-timeout <duration>', 'how long to wait for the reply')
        .argParser(durationOf('--reply-timeout', 1))
        .default(10_000, '10s'),
    )
    .action(async (topic: string, data: string | undefined, { header, text, replyTimeout, ...hub }: RequestFlags) => {
      const asked = data === undefined ? undefined : parseData(data, text)
      await askHub(hub, async (client) => {
        const options = { timeout: replyTimeout, raw: true, ...(header && { headers: header }) }
        const reply = await client.request<string>(topic, asked, options)
        const { data: json = null, base64 } = shownData({ data: reply, raw: reply })
        process.stdout.write(`${jsonLine(base64 === undefined ? json : { base64 })}\n`)
      })
    })
  return withExamples(addTimeout(addHub(command)), [`fanfare request prices.quote '{"item":"tea"}'`])
}
