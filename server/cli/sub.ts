import { once } from 'node:events'
import { Command, Option } from 'commander'
import { connect } from '../../client/node.ts'
import { POLICIES, type Policy } from '../../shared/frames.ts'
import { addUrl, collectHeader } from './connection-options.ts'

interface SubOptions {
  readonly url: string
  readonly policy?: Policy
  readonly header?: Record<string, string>
  readonly count?: string
}

export function subCommand(): Command {
  return addUrl(new Command('sub'))
    .description('print the messages of a topic or pattern, one line of JSON each')
    .argument('<pattern>')
    .addOption(new Option('--policy <policy>', 'what a slow reader gets').choices([...POLICIES]))
    .option('--header <name=value>', 'only messages that have this header, may be repeated', collectHeader)
    .option('--count <n>', 'stop after so many messages')
    .action(sub)
}

async function sub(pattern: string, { url, policy, header, count }: SubOptions): Promise<void> {
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  process.once('SIGTERM', () => stop.abort())
  // A reader such as head that has had enough is no failure.
  process.stdout.on('error', () => stop.abort())
  const client = connect(url, { name: 'fanfare sub' })
  client.onState(({ to, reason }) => note(`${to}: ${reason.message}`))
  try {
    const subscription = client.subscribe(pattern, {
      signal: stop.signal,
      ...(policy && { policy }),
      ...(header && { filter: { all: header } }),
      onGap: (gap) => process.stdout.write(line({ gap })),
    })
    let left = count === undefined ? Number.POSITIVE_INFINITY : Number(count)
    for await (const { data, ...message } of subscription) {
      const shown = data instanceof Uint8Array ? { base64: Buffer.from(data).toString('base64') } : { data }
      if (!process.stdout.write(line({ ...message, ...shown }))) await once(process.stdout, 'drain')
      if (--left <= 0) break
    }
  } finally {
    await client.close()
  }
}

const colours = process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined

function line(value: object): string {
  const text = JSON.stringify(value)
  // Names of fields stand back behind their values.
  return `${colours ? text.replace(/"(\w+)":/g, '\x1b[2m"$1":\x1b[22m') : text}\n`
}

/** For people who watch; a pipe gets messages alone. */
function note(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\x1b[2m${text}\x1b[22m\n`)
}
