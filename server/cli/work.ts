import { Command, Option } from 'commander'
import { QUEUE_STATUS_TOPIC, type QueueInfo } from '../../shared/queues.ts'
import { noteConnection } from './connected.ts'
import { addHub, connectTo, durationOf, type HubAddress, integer } from './connection-options.ts'
import { withExamples } from './examples.ts'
import { UsageError } from './usage.ts'
import { Workers } from './workers.ts'

interface WorkOptions extends HubAddress {
  readonly queue: string
  readonly min: number
  readonly max: number
  /** In milliseconds. */
  readonly cooldown: number
}

export function workCommand(): Command {
  const command = new Command('work')
    .description('run worker processes for a queue: more as its backlog grows, fewer once it is done')
    .usage('[options] --queue <name> -- <command...>')
    .argument(
      '<command...>',
      'command that runs one worker; it gets FANFARE_URL, FANFARE_QUEUE and FANFARE_TOKEN in its environment',
    )
    .requiredOption('-q, --queue <name>', 'queue that the workers consume')
    .option('--min <n>', 'minimum number of workers', integer('--min', 0), 1)
    .option('--max <n>', 'maximum number of workers', integer('--max', 1), 8)
    .addOption(
      new Option('--cooldown <duration>', 'how long demand must stay lower before workers are stopped')
        .argParser(durationOf('--cooldown', 0))
        .default(30_000, '30s'),
    )
    .action(work)
  return withExamples(addHub(command), ['fanfare work --queue thumbnails --max 4 -- node worker.js'])
}

async function work(command: string[], { queue, min, max, cooldown, ...hub }: WorkOptions): Promise<void> {
  if (min > max) throw new UsageError(`--min must not exceed --max (got ${min} and ${max}).`)
  const { url, token } = hub
  const env = { FANFARE_URL: url, FANFARE_QUEUE: queue, ...(token !== undefined && { FANFARE_TOKEN: token }) }
  const workers = new Workers(command, env, { min, max, cooldownMs: cooldown }, say)
  const client = connectTo(hub, 'fanfare work')
  noteConnection(client, url, say)
  const stopped = new Promise<void>((resolve) => {
    // Also catches the second signal, which npm sends: the workers have to end first.
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, resolve)
  })
  client.subscribe<QueueInfo>(QUEUE_STATUS_TOPIC + queue, ({ data: { wantedConsumers, ready } }) => {
    workers.want(wantedConsumers, `${ready} ready`)
  })
  const started = async () => {
    // Reports a missing queue before the workers do.
    await client.admin.queues.show(queue)
    workers.want(min, 'the minimum')
  }
  try {
    // Waits for a hub that does not answer, unless asked to stop.
    await Promise.race([started(), stopped])
    await Promise.race([stopped, workers.failed])
  } finally {
    await workers.stop()
    await client.close()
  }
}

function say(text: string): void {
  process.stderr.write(`${text}\n`)
}
