import { Command } from 'commander'
import { integer, tokenOption, webSocketUrl } from './connection-options.ts'
import { withExamples } from './examples.ts'
import { UsageError } from './usage.ts'

/** A fan-out scenario, run by `bench` and by the load scripts of the tests. */
export interface Scenario {
  readonly subscribers: number
  readonly publishers: number
  /** Payload size in characters. */
  readonly size: number
  /** Messages per second of all publishers together; undefined for as many as possible. */
  readonly rate?: number
  /** Number of subscribers that stop reading after the warm-up. */
  readonly stalled: number
  readonly seconds: number
}

export function benchCommand(): Command {
  const command = addScenario(new Command('bench'))
    .description('measure a fan-out: many subscribers of one topic, each message to all of them')
    .option(
      '-u, --url <url>',
      'a running hub to measure; by default the command starts hubs, and servers to compare with',
      localUrl,
    )
    .addOption(tokenOption())
    .action(bench)
  return withExamples(
    command,
    ['fanfare bench'],
    ['fanfare bench --url ws://127.0.0.1:4747 --subscribers 1000 --rate 100', 'a running hub'],
  )
}

export function addScenario(command: Command): Command {
  return command
    .option('--subscribers <n>', 'number of subscribers', integer('--subscribers', 1), 100)
    .option('--publishers <n>', 'number of publishers', integer('--publishers', 1), 1)
    .option('--size <bytes>', 'size of the data of a message', integer('--size', 30, 200_000), 100)
    .option('--rate <n>', 'messages per second (default: as many as possible)', integer('--rate', 1))
    .option('--stalled <n>', 'number of subscribers that stop reading', integer('--stalled', 0), 0)
    .option('--seconds <n>', 'how long to measure', integer('--seconds', 1), 4)
}

async function bench({ url, token, ...scenario }: Scenario & { url?: string; token?: string }): Promise<void> {
  if (scenario.stalled >= scenario.subscribers) {
    throw new UsageError('--stalled must be less than --subscribers: at least one has to read.')
  }
  // Loaded by this command only; a hub does not need it.
  const { compare } = await import('../../test/load/compare.ts')
  const { localTargets, runningHub } = await import('../../test/load/targets.ts')
  await compare(url === undefined ? localTargets : [runningHub(url, token)], scenario)
}

function localUrl(text: string): string {
  if (new URL(webSocketUrl(text)).protocol === 'ws:') return text
  throw new UsageError(`--url must begin with ws:// (got "${text}"): bench does not speak TLS.`)
}
