import { once } from 'node:events'
import { Command, Option } from 'commander'
import type { Client } from '../../client/client.ts'
import { connect } from '../../client/node.ts'
import { POLICIES, type Policy } from '../../shared/frames.ts'
import { addUrl, collectHeader, wholeNumber } from './connection-options.ts'

interface SubOptions {
  readonly url: string
  readonly policy?: Policy
  readonly header?: Record<string, string>
  readonly count?: number
}

export function subCommand(): Command {
  return addUrl(new Command('sub'))
    .description('print the messages of a topic or pattern, one line of JSON each')
    .argument('<pattern>')
    .addOption(new Option('--policy <policy>', 'what a slow reader gets').choices([...POLICIES]))
    .option('--header <name=value>', 'only messages that have this header, may be repeated', collectHeader)
    .option('--count <n>', 'stop after so many messages', wholeNumber('count', 1))
    .action(sub)
}

async function sub(pattern: string, { url, policy, header, count }: SubOptions): Promise<void> {
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  process.once('SIGTERM', () => stop.abort())
  // A reader such as head that has had enough is no failure.
  process.stdout.on('error', () => stop.abort())
  const client = connect(url, { name: 'fanfare sub' })
  try {
    const subscription = client.subscribe(pattern, {
      signal: stop.signal,
      ...(policy && { policy }),
      ...(header && { filter: { all: header } }),
      onGap: (gap) => process.stdout.write(line({ gap })),
    })
    noteConnection(client, url, subscription.ready, stop.signal)
    let left = count ?? Number.POSITIVE_INFINITY
    for await (const { data, ...message } of subscription) {
      const shown = data instanceof Uint8Array ? { base64: Buffer.from(data).toString('base64') } : { data }
      if (!process.stdout.write(line({ ...message, ...shown }))) await drained(stop.signal)
      if (--left <= 0) break
    }
  } finally {
    await client.close()
  }
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
  const text = JSON.stringify(value)
  // Names of fields stand back behind their values.
  return `${colours ? text.replace(/"(\w+)":/g, '\x1b[2m"$1":\x1b[22m') : text}\n`
}
