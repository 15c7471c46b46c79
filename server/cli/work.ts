import { Command } from 'commander'
import type { Client } from '../../client/client.ts'
import { connect } from '../../client/node.ts'
import { FanfareError } from '../../shared/errors.ts'
import { QUEUE_STATUS_TOPIC, type QueueInfo } from '../../shared/queues.ts'
import { addUrl, wholeNumber } from './connection-options.ts'
import { Workers } from './workers.ts'

interface WorkOptions {
  readonly url: string
  readonly queue: string
  readonly min: number
  readonly max: number
  readonly cooldownMs: number
}

export function workCommand(): Command {
  return addUrl(new Command('work'))
    .description('run as many workers on a queue as it wants: processes of the command behind --')
    .requiredOption('--queue <name>', 'the queue that they consume')
    .option('--min <n>', 'fewest workers', wholeNumber('min', 0), 1)
    .option('--max <n>', 'most workers', wholeNumber('max', 1), 8)
    .option(
      '--cooldown-ms <n>',
      'fewer are wanted for so long before some are stopped',
      wholeNumber('cooldown-ms', 0),
      30_000,
    )
    .argument('<command...>', 'the worker; it finds FANFARE_URL and FANFARE_QUEUE in its environment')
    .action(work)
}

async function work(command: string[], { url, queue, min, max, cooldownMs }: WorkOptions): Promise<void> {
  if (min > max) throw new FanfareError('bad_config', `min: ${min} is more than max, which is ${max}`)
  const env = { FANFARE_URL: url, FANFARE_QUEUE: queue }
  const workers = new Workers(command, env, { min, max, cooldownMs }, say)
  const client = connect(url, { name: 'fanfare work' })
  noteConnection(client, url)
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve)
  })
  client.subscribe<string>(QUEUE_STATUS_TOPIC + queue, ({ data }) => {
    const { wantedConsumers, depth } = data as QueueInfo
    workers.want(wantedConsumers, `${depth} waiting`)
  })
  const started = async () => {
    // Says that there is no such queue, before workers say it.
    await client.queues.show(queue)
    workers.want(min, 'the fewest')
  }
  try {
    // A hub that does not answer is waited for, but not when asked to stop.
    await Promise.race([started(), stopped])
    await stopped
  } finally {
    await workers.stop()
    await client.close()
  }
}

/** Says once that there is nobody to ask how many workers are wanted; those that run go on. */
function noteConnection(client: Client, url: string): void {
  let away = false
  client.onState(({ to, reason }) => {
    if (to === 'waiting' && !away) say(`no connection to ${url}, trying again: ${reason.message}`)
    if (to !== 'connecting') away = to === 'waiting'
  })
}

function say(text: string): void {
  process.stderr.write(`${text}\n`)
}
