import { once } from 'node:events'
import { Command, Option } from 'commander'
import type { Client } from '../../client/client.ts'
import { FanfareError } from '../../shared/errors.ts'
import { POLICIES, type SlowPolicy } from '../../shared/frames.ts'
import { parseStart, type StartAt } from '../../shared/streams.ts'
import { addHub, collectHeader, connectTo, type HubAddress, wholeNumber } from './connection-options.ts'
import { jsonLine, shownData } from './data.ts'

interface SubOptions extends HubAddress {
  readonly policy?: SlowPolicy
  readonly header?: Record<string, string>
  readonly count?: number
  readonly from?: StartAt
  readonly stream?: string
  readonly cursor?: string
}

const STARTS = 'where to start on a stream: latest, earliest, OFFSET, EPOCH:OFFSET, last:N of each topic, or a time'

export function subCommand(): Command {
  return addHub(new Command('sub'))
    .description('print the messages of a topic or pattern, one line of JSON each')
    .argument('<pattern>')
    .addOption(new Option('--policy <policy>', 'what a slow reader gets').choices([...POLICIES]))
    .option('--header <name=value>', 'only messages that have this header, may be repeated', collectHeader)
    .option('--count <n>', 'stop after so many messages', wholeNumber('count', 1))
    .option('--from <start>', STARTS, startOf)
    .option('--stream <name>', 'the stream, where several capture the pattern')
    .option('--cursor <name>', 'go on where the last reader of this name stopped; stronger than --from')
    .action(sub)
}

async function sub(pattern: string, { url, token, header, count, ...options }: SubOptions): Promise<void> {
  const stop = new AbortController()
  // Ctrl-C reaches what npm started twice; the second one must not cut short what the first began.
  process.on('SIGINT', () => stop.abort())
  process.on('SIGTERM', () => stop.abort())
  // A reader such as head that has had enough is no failure.
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
        note(`refused for now, trying again: ${message}`)
      },
      onResubscribed() {
        if (refused) note('subscribed again')
        refused = false
      },
    })
    noteConnection(client, url, subscription.ready, stop.signal)
    let left = count ?? Number.POSITIVE_INFINITY
    for await (const message of subscription) {
      // Not printed, and so not handled: a cursor stays before it.
      if (left <= 0 || stop.signal.aborted) break
      // Last, since it may be long.
      const { data: _, ...rest } = message
      if (!process.stdout.write(line({ ...rest, ...shownData(message) }))) await drained(stop.signal)
      // Not within the loop: it takes a message for handled when it asks for the next one.
      if (--left <= 0) setImmediate(() => stop.abort())
    }
  } finally {
    await client.close()
  }
}

function startOf(text: string): StartAt {
  const start = parseStart(text)
  if (start !== undefined) return start
  throw new FanfareError(
    'bad_config',
    `from: "${text}" is none of latest, earliest, OFFSET, EPOCH:OFFSET, last:N, a time`,
  )
}

async function drained(signal: AbortSignal): Promise<void> {
  // It rejects when there is nobody left to read, which `stop` knows.
  await once(process.stdout, 'drain', { signal }).catch(() => {})
}

/** Standard error says what there is to wait for, each thing once; standard output has messages alone. */
function noteConnection(client: Client, url: string, ready: Promise<void>, stop: AbortSignal): void {
  let away = false
  client.onState(({ to, reason }) => {
    if (to === 'waiting' && !away) note(`no connection to ${url}, trying again: ${reason.message}`)
    if (to === 'connected' && away) note('connected again')
    if (to !== 'connecting') away = to === 'waiting'
  })
  // A refusal is thrown by the iterator.
  ready.then(
    () => stop.aborted || note(`subscribed at ${url}`),
    () => {},
  )
}

function note(text: string): void {
  process.stderr.write(process.stderr.isTTY ? `\x1b[2m${text}\x1b[22m\n` : `${text}\n`)
}

const colours = process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined

function line(value: object): string {
  const text = jsonLine(value)
  // Names of fields stand back behind their values.
  return `${colours ? text.replace(/"(\w+)":/g, '\x1b[2m"$1":\x1b[22m') : text}\n`
}
