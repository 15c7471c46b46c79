import { createInterface } from 'node:readline'
import { Command } from 'commander'
import { FanfareError } from '../../shared/errors.ts'
import { QUEUE_TOPIC } from '../../shared/queues.ts'
import { connected } from './connected.ts'
import {
  addHub,
  addTimeout,
  collectHeader,
  connectTo,
  durationOf,
  type HubAddress,
  wholeNumber,
} from './connection-options.ts'
import { parseData } from './data.ts'

interface PubOptions extends HubAddress {
  /** In milliseconds. */
  readonly timeout: number
  readonly key?: string
  readonly header?: Record<string, string>
  readonly queue?: string
  readonly priority?: number
  /** In milliseconds. */
  readonly delay?: number
}

/** Publishes that may be under way at once: as many as a hub's window by default. */
const IN_FLIGHT = 256

export function pubCommand(): Command {
  return addTimeout(addHub(new Command('pub')))
    .description('publish to a topic or queue: one message, or with standard input one for each line')
    .usage('[options] <topic> [data]\n       fanfare pub [options] --queue <name> [data]')
    .argument('[topic]')
    .argument('[data]', 'JSON; what is not JSON is sent as a string')
    .option('--key <key>', 'key of the message')
    .option('--header <name=value>', 'header of the message, may be repeated', collectHeader)
    .option('--queue <name>', 'straight to this queue, instead of to a topic')
    .option('--priority <n>', 'in queues: 0 to 9, the higher first', wholeNumber('priority', 0, 9))
    .option('--delay <duration>', 'in queues: delivered this much later', durationOf('delay', 0))
    .action((first: string | undefined, second: string | undefined, options: PubOptions) => {
      const { queue } = options
      if (queue === undefined) {
        if (first === undefined) throw new FanfareError('bad_config', 'pub: say a topic, or --queue <name>')
        return pub(first, second, options)
      }
      if (second !== undefined) throw new FanfareError('bad_config', 'pub: either a topic or --queue, not both')
      return pub(QUEUE_TOPIC + queue, first, options)
    })
}

async function pub(topic: string, data: string | undefined, { timeout, header, ...message }: PubOptions) {
  const client = connectTo(message, 'fanfare pub')
  const { url, key, priority, delay } = message
  const options = {
    ...(key !== undefined && { key }),
    ...(priority !== undefined && { priority }),
    ...(delay !== undefined && { delay }),
    ...(header && { headers: header }),
  }
  const failed = new AbortController()
  const giveUp = (error: unknown) => {
    failed.abort(error)
    // It has waited for long enough already.
    return client.close({ timeout: 1 })
  }
  try {
    await connected(client, url, timeout)
    // What is published while the connection is lost would wait for ever, and so would what was under way.
    client.onState(({ to }) => {
      if (to === 'waiting') connected(client, url, timeout).catch(giveUp)
    })
    const lines = data === undefined ? createInterface({ input: process.stdin, signal: failed.signal }) : [data]
    const underWay = new Set<Promise<unknown>>()
    for await (const line of lines) {
      if (failed.signal.aborted) break
      if (underWay.size >= IN_FLIGHT) await Promise.race(underWay)
      const publish = client
        .publish(topic, parseData(line), options)
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
