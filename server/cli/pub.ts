import { createInterface } from 'node:readline'
import { Command } from 'commander'
import { connect } from '../../client/node.ts'
import { addUrl, collectHeader } from './connection-options.ts'

interface PubOptions {
  readonly url: string
  readonly key?: string
  readonly header?: Record<string, string>
}

/** Publishes that may be under way at once: as many as a hub's window by default. */
const IN_FLIGHT = 256

export function pubCommand(): Command {
  return addUrl(new Command('pub'))
    .description('publish to a topic: one message, or with standard input one for each line')
    .argument('<topic>')
    .argument('[data]', 'JSON; what is not JSON is sent as a string')
    .option('--key <key>', 'key of the message')
    .option('--header <name=value>', 'header of the message, may be repeated', collectHeader)
    .action(pub)
}

async function pub(topic: string, data: string | undefined, { url, key, header }: PubOptions): Promise<void> {
  const client = connect(url, { name: 'fanfare pub' })
  const options = { ...(key !== undefined && { key }), ...(header && { headers: header }) }
  try {
    await client.ready()
    const lines = data === undefined ? createInterface({ input: process.stdin }) : [data]
    const underWay = new Set<Promise<unknown>>()
    for await (const line of lines) {
      if (underWay.size >= IN_FLIGHT) await Promise.race(underWay)
      const publish = client.publish(topic, parse(line), options).finally(() => underWay.delete(publish))
      underWay.add(publish)
      // The first failure is thrown by race or all; the others must not end the process before.
      publish.catch(() => {})
    }
    await Promise.all(underWay)
  } finally {
    await client.close()
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
