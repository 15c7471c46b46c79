import { Command } from 'commander'
import { quoted } from '../../shared/error-text.ts'
import { FanfareError } from '../../shared/errors.ts'
import { tokenOption, webSocketUrl, wholeNumber } from './connection-options.ts'

/** A fan-out: what `bench` and the load scripts of the tests run. */
export interface Scenario {
  readonly subscribers: number
  readonly publishers: number
  /** Characters of a payload. */
  readonly size: number
  /** Messages a second, of all publishers; undefined: as fast as it goes. */
  readonly rate?: number
  /** So many of the subscribers stop reading after the warm-up. */
  readonly stalled: number
  readonly seconds: number
}

export function benchCommand(): Command {
  return addScenario(new Command('bench'))
    .description('measure a fan-out: many subscribers of one topic, every message to all of them')
    .option('--url <url>', 'a running hub; without it hubs and servers to compare with are started', localUrl)
    .addOption(tokenOption())
    .action(bench)
}

export function addScenario(command: Command): Command {
  return command
    .option('--subscribers <n>', 'connections that subscribe', wholeNumber('subscribers', 1), 100)
    .option('--publishers <n>', 'connections that publish', wholeNumber('publishers', 1), 1)
    .option('--size <bytes>', 'size of the data of a message', wholeNumber('size', 30, 200_000), 100)
    .option('--rate <n>', 'messages a second; without it as fast as it goes', wholeNumber('rate', 1))
    .option('--stalled <n>', 'subscribers that stop reading', wholeNumber('stalled', 0), 0)
    .option('--seconds <n>', 'time that is measured', wholeNumber('seconds', 1), 4)
}

async function bench({ url, token, ...scenario }: Scenario & { url?: string; token?: string }): Promise<void> {
  if (scenario.stalled >= scenario.subscribers) {
    throw new FanfareError(
      'bad_config',
      `--stalled must be less than --subscribers (got ${scenario.stalled} of ${scenario.subscribers}).`,
    )
  }
  // Loaded by this command alone: no hub needs it.
  const { compare } = await import('../../test/load/compare.ts')
  const { localTargets, runningHub } = await import('../../test/load/targets.ts')
  await compare(url === undefined ? localTargets : [runningHub(url, token)], scenario)
}

function localUrl(text: string): string {
  if (new URL(webSocketUrl(text)).protocol === 'ws:') return text
  throw new FanfareError('bad_config', `--url must begin with ws:// for bench (got ${quoted(text)}).`)
}
