import { createInterface } from 'node:readline'
import { Command, Option } from 'commander'
import type { Client } from '../../client/client.ts'
import type { PublishOptions, Receipt } from '../../client/publisher.ts'
import { QUEUE_TOPIC } from '../../shared/queues.ts'
import { connected } from './connected.ts'
import {
  addHub,
  addTimeout,
  collectHeader,
  connectTo,
  durationOf,
  type HubAddress,
  integer,
} from './connection-options.ts'
import { jsonLine, parseData } from './data.ts'
import { withExamples } from './examples.ts'
import { EXIT } from './exit.ts'
import { Progress } from './progress.ts'
import { Receipts } from './receipts.ts'
import { UsageError } from './usage.ts'

interface PubOptions extends HubAddress {
  /** In milliseconds. */
  readonly timeout: number
  readonly key?: string
  readonly header?: Record<string, string>
  readonly queue?: string
  readonly priority?: number
  /** In milliseconds. */
  readonly delay?: number
  readonly text?: true
  readonly json?: true
}

/** Maximum number of unacknowledged publishes: as many as a hub's default window. */
const IN_FLIGHT = 256
/** How long pending publishes may take after Ctrl-C, in milliseconds. */
const INTERRUPTED_MS = 2_000
const QUEUES = 'Queues:'

export function pubCommand(): Command {
  const command = new Command('pub')
    .description('publish a message to a topic or a queue, or each line of standard input as one')
    .usage('[options] <topic> [data]\n       fanfare pub [options] --queue <name> [data]')
    .argument('[topic]', 'topic to publish to, such as photos.uploaded')
    .argument('[data]', 'JSON, or text that is sent as a string; without it, each line of standard input is a message')
    .option('-k, --key <key>', 'key of the message: for conflation, last values and ordered groups')
    .option('-H, --header <name=value>', 'header of the message; can be repeated', collectHeader)
    .option('--text', 'send the data as a string, even if it is JSON')
    .option('--json', "print the hub's receipts as JSON Lines")
    .addOption(new Option('-q, --queue <name>', 'publish directly to this queue, not to a topic').helpGroup(QUEUES))
    .addOption(
      new Option('--priority <n>', 'priority in queues, 0 to 9: higher is delivered first (default: 4)')
        .argParser(integer('--priority', 0, 9))
        .helpGroup(QUEUES),
    )
    .addOption(
      new Option('--delay <duration>', 'deliver from queues only after this time')
        .argParser(durationOf('--delay', 0))
        .helpGroup(QUEUES),
    )
    .action((first: string | undefined, second: string | undefined, options: PubOptions) => {
      const { queue } = options
      if (queue === undefined) {
        if (first === undefined) throw new UsageError('Name a topic, or a queue with --queue <name>.')
        return pub(first, second, options)
      }
      if (second !== undefined) throw new UsageError('Name either a topic or a queue (--queue), not both.')
      return pub(QUEUE_TOPIC + queue, first, options)
    })
  return withExamples(
    addTimeout(addHub(command)),
    [`fanfare pub photos.uploaded '{"name":"a.jpg"}'`],
    [`fanfare pub --queue mails '{"to":"ann@example.com"}' --delay 5m`],
    [`printf '1\\n2\\n3\\n' | fanfare pub numbers`, 'one message per line'],
  )
}

async function pub(topic: string, data: string | undefined, options: PubOptions): Promise<void> {
  const { url, timeout, queue, text, json } = options
  // Refused before any message is sent.
  const single = data === undefined ? undefined : parseData(data, text)
  const client = connectTo(options, 'fanfare pub')
  const failed = new AbortController()
  const receipts = new Receipts(queue === undefined ? topic : `queue ${queue}`)
  const publish = async (value: unknown) => receipts.add(await client.publish(topic, value, publishOptions(options)))
  try {
    await connected(client, url, timeout)
    giveUpWhenAway(client, url, timeout, failed)
    if (data === undefined) await pubLines(client, publish, receipts, options, failed)
    else {
      const receipt = await publish(single).catch((error) => {
        throw failed.signal.reason ?? error
      })
      process.stdout.write(`${json ? jsonLine(receipt) : receipts.sentence()}\n`)
    }
  } finally {
    await client.close()
  }
}

function publishOptions({ key, priority, delay, header }: PubOptions): PublishOptions {
  return {
    ...(key !== undefined && { key }),
    ...(priority !== undefined && { priority }),
    ...(delay !== undefined && { delay }),
    ...(header && { headers: header }),
  }
}

/** Fails when the connection is lost for too long: pending publishes would wait forever. */
function giveUpWhenAway(client: Client, url: string, timeout: number, failed: AbortController): void {
  const giveUp = (error: unknown) => {
    failed.abort(error)
    // It has already waited long enough.
    return client.close({ timeout: 1 })
  }
  client.onState(({ to }) => {
    if (to === 'waiting') connected(client, url, timeout, true).catch(giveUp)
  })
}

/** Publishes each line of standard input, and reports how many were published, however it ends. */
async function pubLines(
  client: Client,
  publish: (value: unknown) => Promise<Receipt>,
  receipts: Receipts,
  { text, json }: PubOptions,
  failed: AbortController,
): Promise<void> {
  const interrupted = new AbortController()
  // Also catches the second signal, which npm sends: it must not cut short what the first one began.
  process.on('SIGINT', () => {
    interrupted.abort()
    void client.close({ timeout: INTERRUPTED_MS })
  })
  const progress = new Progress()
  const underWay = new Set<Promise<unknown>>()
  // Receipts are printed in the order of the lines.
  let last: Promise<unknown> = Promise.resolve()
  const next = async (line: string, before: Promise<unknown>) => {
    const [receipt] = await Promise.all([publish(parseData(line, text)), before])
    if (json) process.stdout.write(`${jsonLine(receipt)}\n`)
    else progress.update(() => receipts.sentence())
  }
  const ended = AbortSignal.any([failed.signal, interrupted.signal])
  for await (const line of createInterface({ input: process.stdin, signal: ended })) {
    if (ended.aborted) break
    if (underWay.size >= IN_FLIGHT) await Promise.race(underWay)
    last = next(line, last)
    const settled = last.catch((error) => failed.abort(error)).finally(() => underWay.delete(settled))
    underWay.add(settled)
  }
  await Promise.all(underWay)
  // The program that writes to this pipe may never close it.
  process.stdin.destroy()
  progress.clear()
  // With `--json`, standard output is for receipts only.
  const output = json ? process.stderr : process.stdout
  output.write(`${receipts.sentence()}${interrupted.signal.aborted ? '; interrupted' : ''}\n`)
  if (interrupted.signal.aborted) process.exitCode = EXIT.interrupted
  // After the first failed line nothing else is sent: later lines must not overtake it when the input is published again.
  else failed.signal.throwIfAborted()
}
