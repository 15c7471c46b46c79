import { createInterface } from 'node:readline'
import { Command } from 'commander'
import { connect } from '../../client/node.ts'
import { connected } from './connected.ts'
import { addTimeout, addUrl, collectHeader } from './connection-options.ts'

interface PubOptions {
  readonly url: string
  readonly timeoutMs: number
  readonly key?: string
  readonly header?: Record<string, string>
}

/** Publishes that may be under way at once: as many as a hub's window by default. */
const IN_FLIGHT = 256

export function pubCommand(): Command {
  return addTimeout(addUrl(new Command('pub')))
    .description('publish to a topic: one message, or with standard input one for each line')
    .argument('<topic>')
    .argument('[data]', 'JSON; what is not JSON is sent as a string')
    .option('--key <key>', 'key of the message')
    .option('--header <name=value>', 'header of the message, may be repeated', collectHeader)
    .action(pub)
}

async function pub(topic: string, data: string | undefined, { url, timeoutMs, key, header }: PubOptions) {
  const client = connect(url, { name: 'fanfare pub' })
  const options = { ...(key !== undefined && { key }), ...(header && { headers: header }) }
  const failed = new AbortController()
  try {
    await connected(client, url, timeoutMs)
    const lines = data === undefined ? createInterface({ input: process.stdin, signal: failed.signal }) : [data]
    const underWay = new Set<Promise<unknown>>()
    for await (const line of lines) {
      if (failed.signal.aborted) break
      if (underWay.size >= IN_FLIGHT) await Promise.race(underWay)
      // What is published while the connection is lost would wait for ever.
      if (client.state !== 'connected') await connected(client, url, timeoutMs)
      const publish = client
        .publish(topic, parse(line), options)
        .catch((error) => failed.abort(error))
        .finally(() => underWay.delete(publish))
      underWay.add(publish)
    }
    await Promise.all(underWay)
    // The first line that failed ends the reading: what comes behind it must not overtake it in a second attempt.
    failed.signal.throwIfAborted()
  } finally {
    await client.close()
    // Whoever writes into this pipe may never end it.
    if (data === undefined) process.stdin.destroy()
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
