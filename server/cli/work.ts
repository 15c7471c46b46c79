import { Command, Option } from 'commander'
import type { Client } from '../../client/client.ts'
import { FanfareError } from '../../shared/errors.ts'
import { QUEUE_STATUS_TOPIC, type QueueInfo } from '../../shared/queues.ts'
import { addHub, connectTo, durationOf, type HubAddress, wholeNumber } from './connection-options.ts'
import { Workers } from './workers.ts'

interface WorkOptions extends HubAddress {
  readonly queue: string
  readonly min: number
  readonly max: number
  /** In milliseconds. */
  readonly cooldown: number
}

export function workCommand(): Command {
  return addHub(new Command('work'))
    .description('run as many workers on a queue as it wants: processes of the command behind --')
    .requiredOption('--queue <name>', 'the queue that they consume')
    .option('--min <n>', 'fewest workers', wholeNumber('min', 0), 1)
    .option('--max <n>', 'most workers', wholeNumber('max', 1), 8)
    .addOption(
      new Option('--cooldown <duration>', 'how long demand must stay lower before workers are stopped')
        .argParser(durationOf('cooldown', 0))
        .default(30_000, '30s'),
    )
    .argument('<command...>', 'the worker; it finds FANFARE_URL, FANFARE_QUEUE and FANFARE_TOKEN in its environment')
    .action(work)
}

async function work(command: string[], { queue, min, max, cooldown, ...hub }: WorkOptions): Promise<void> {
  if (min > max) throw new FanfareError('bad_config', `min: ${min} is more than max, which is ${max}`)
  const { url, token } = hub
  const env = { FANFARE_URL: url, FANFARE_QUEUE: queue, ...(token !== undefined && { FANFARE_TOKEN: token }) }
  const workers = new Workers(command, env, { min, max, cooldownMs: cooldown }, say)
  const client = connectTo(hub, 'fanfare work')
  noteConnection(client, url)
  const stopped = new Promise<void>((resolve) => {
    // Also the second one, which npm sends: the workers have to end first.
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, resolve)
  })
  client.subscribe<QueueInfo>(QUEUE_STATUS_TOPIC + queue, ({ data: { wantedConsumers, ready } }) => {
    workers.want(wantedConsumers, `${ready} ready`)
  })
  const started = async () => {
    // Says that there is no such queue, before workers say it.
    await client.admin.queues.show(queue)
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
