import { once } from 'node:events'
import { Command, Option } from 'commander'
import { shownUrl } from '../../client/hub-url.ts'
import { POLICIES, type SlowPolicy } from '../../shared/frames.ts'
import { parseStart, type StartAt } from '../../shared/streams.ts'
import { noteConnection } from './connected.ts'
import { addHub, collectHeader, connectTo, type HubAddress, integer } from './connection-options.ts'
import { jsonLine, shownData } from './data.ts'
import { withExamples } from './examples.ts'
import { UsageError } from './usage.ts'

interface SubOptions extends HubAddress {
  readonly policy?: SlowPolicy
  readonly header?: Record<string, string>
  readonly count?: number
  readonly from?: StartAt
  readonly stream?: string
  readonly cursor?: string
}

const STREAMS = 'Streams:'

export function subCommand(): Command {
  const command = new Command('sub')
    .description('subscribe to a topic or pattern, and print each message as one line of JSON until Ctrl-C')
    .argument('<pattern>', 'topic or pattern: * is one word, # is any number of words')
    .option('-n, --count <n>', 'stop after this many messages', integer('--count', 1))
    .option('-H, --header <name=value>', 'only messages with this header; can be repeated', collectHeader)
    .addOption(
      new Option('--policy <policy>', 'what happens to messages if this reader is too slow').choices([...POLICIES]),
    )
    .addOption(
      new Option(
        '--from <start>',
        'where to start: latest, earliest, an offset, EPOCH:OFFSET, last:N per topic, or a time (ISO 8601)',
      )
        .argParser(startOf)
        .helpGroup(STREAMS),
    )
    .addOption(new Option('--stream <name>', 'stream to read, if several capture the pattern').helpGroup(STREAMS))
    .addOption(
      new Option(
        '--cursor <name>',
        'continue where the last reader with this cursor stopped; takes precedence over --from',
      ).helpGroup(STREAMS),
    )
    .action(sub)
  return withExamples(
    addHub(command),
    [`fanfare sub 'photos.#'`],
    [`fanfare sub 'orders.#' --from earliest --count 10`, 'the first ten messages of a stream'],
    [`fanfare sub 'orders.#' --from earliest --cursor reports`, 'continue after a restart'],
  )
}

async function sub(pattern: string, { url, token, header, count, ...options }: SubOptions): Promise<void> {
  const stop = new AbortController()
  // npm sends Ctrl-C a second time; it must not cut short what the first one began.
  process.on('SIGINT', () => stop.abort())
  process.on('SIGTERM', () => stop.abort())
  // A reader that has had enough, such as head, is not a failure.
  process.stdout.on('error', () => stop.abort())
  const client = connectTo({ url, ...(token !== undefined && { token }) }, 'fanfare sub')
  let refused = false
  try {
    const subscription = client.subscribe(pattern, {
      signal: stop.signal,
      ...options,
      ...(header && { filter: { all: header } }),
      onGap: (gap) => process.stdout.write(line({ gap })),
      onInterrupted({ message }) {
        refused = true
        note(`Refused for now, retrying: ${message}`)
      },
      onResubscribed() {
        if (refused) note('Subscribed again.')
        refused = false
      },
    })
    // Standard output is for messages only.
    noteConnection(client, url, note)
    noteReady(url, subscription.ready, stop.signal)
    let left = count ?? Number.POSITIVE_INFINITY
    for await (const message of subscription) {
      // The message was not printed, so it is not handled: the cursor stays before it.
      if (left <= 0 || stop.signal.aborted) break
      // Data last, because it may be long.
      const { data: _, ...rest } = message
      if (!process.stdout.write(line({ ...rest, ...shownData(message) }))) await drained(stop.signal)
      // Not inside the loop, which counts a message as handled when it asks for the next one.
      if (--left <= 0) setImmediate(() => stop.abort())
    }
  } finally {
    await client.close()
  }
}

function startOf(text: string): StartAt {
  const start = parseStart(text)
  if (start !== undefined) return start
  throw new UsageError(
    `--from must be latest, earliest, an offset, EPOCH:OFFSET, last:N or a time such as 2026-01-31T12:00Z (got "${text}").`,
  )
}

async function drained(signal: AbortSignal): Promise<void> {
  // Rejects when there is no reader left; `stop` knows about that.
  await once(process.stdout, 'drain', { signal }).catch(() => {})
}

function noteReady(url: string, ready: Promise<void>, stop: AbortSignal): void {
  // The iterator throws refusals.
  ready.then(
    () => stop.aborted || note(`Subscribed at ${shownUrl(url)}.`),
    () => {},
  )
}

function note(text: string): void {
  process.stderr.write(process.stderr.isTTY ? `\x1b[2m${text}\x1b[22m\n` : `${text}\n`)
}

const colours = process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined

function line(value: object): string {
  const text = jsonLine(value)
  // Field names are dimmed.
  return `${colours ? text.replace(/"(\w+)":/g, '\x1b[2m"$1":\x1b[22m') : text}\n`
}
