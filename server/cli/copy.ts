import { Command, Option } from 'commander'
import type { CopyReport } from '../copy/copy.ts'
import type { Counts } from '../copy/digest.ts'
import { DEFAULTS } from '../defaults.ts'
import { withExamples } from './examples.ts'
import { EXIT } from './exit.ts'
import { Progress } from './progress.ts'
import { said } from './sources.ts'
import { count, counted, rate } from './table.ts'

interface Flags {
  readonly clusterPrefix: string
  readonly clusterPasswordFile: string
  readonly clusterCaFile: string
}

export function copyCommand(): Command {
  const places = 'a data directory, or the URL of a Redis: redis://, rediss://, redis+sentinel:// or redis+cluster://'
  const command = new Command('copy')
    .description(
      'copy streams, queues, cursors and dead letters between a data directory and a Redis; no hub may be running on either',
    )
    .argument('<from>', places)
    .argument('<to>', 'the same; it must not have streams and queues of the same names')
    .addOption(
      new Option('--cluster-prefix <value>', 'prefix of all keys and channels in Redis')
        .env('FANFARE_CLUSTER_PREFIX')
        .default(DEFAULTS.clusterPrefix),
    )
    .addOption(
      new Option('--cluster-password-file <value>', 'file with the password of Redis')
        .env('FANFARE_CLUSTER_PASSWORD_FILE')
        .default(DEFAULTS.clusterPasswordFile, 'none'),
    )
    .addOption(
      new Option('--cluster-ca-file <value>', 'file with the CA certificates that verify Redis')
        .env('FANFARE_CLUSTER_CA_FILE')
        .default(DEFAULTS.clusterCaFile, 'none'),
    )
    .action(copy)
  command.addHelpText(
    'after',
    `
If it is interrupted, run it again: it continues where it was. Until it is done, no hub starts on the copy.
At the end it compares both sides. Afterwards start hubs on one of the two only.`,
  )
  return withExamples(
    command,
    ['fanfare copy ./data redis://localhost:6379', 'move a single hub to a cluster'],
    ['fanfare copy redis://localhost:6379 ./data-2', 'and back, into a new directory'],
  )
}

async function copy(from: string, to: string, flags: Flags, command: Command): Promise<void> {
  // Loaded only here: other commands start in half the time without it.
  const { pino } = await import('pino')
  const { checkPlaces, openArchive } = await import('../broker/load-archive.ts')
  const { copyArchive } = await import('../copy/copy.ts')
  const { checkConfig } = await import('../config.ts')
  const log = pino({ enabled: false })
  const isVariable = command.getOptionValueSource('clusterPrefix') === 'env'
  const { clusterPrefix } = checkConfig(
    { clusterPrefix: said(flags.clusterPrefix) },
    { clusterPrefix: isVariable ? 'FANFARE_CLUSTER_PREFIX' : '--cluster-prefix' },
  )
  const options = {
    clusterPrefix,
    clusterPasswordFile: said(flags.clusterPasswordFile) ?? '',
    clusterCaFile: said(flags.clusterCaFile) ?? '',
  }
  const progress = new Progress()
  process.on('SIGINT', () => {
    progress.clear()
    process.stderr.write('Stopped before it was done. The same command continues.\n')
    process.exit(EXIT.interrupted)
  })
  checkPlaces(from, to)
  const since = performance.now()
  const source = await openArchive(from, true, options, log)
  try {
    const target = await openArchive(to, false, options, log)
    try {
      const report = await copyArchive(source, target, {
        progress: (doing, counts) => progress.update(() => progressLine(doing, counts)),
        warn(text) {
          progress.clear()
          process.stderr.write(`fanfare: note: ${text}\n`)
        },
      })
      progress.clear()
      const seconds = (performance.now() - since) / 1000
      process.stdout.write(`${headline(source.place, target.place, report, seconds)}\n${summary(report.counts)}`)
    } finally {
      progress.clear()
      await target.close()
    }
  } finally {
    await source.close()
  }
}

function progressLine(doing: 'copying' | 'checking', counts: Counts): string {
  const { messages, waiting, letters, ids } = counts
  const what = doing === 'copying' ? 'Copying' : 'Checking'
  return `${what}: ${counted(messages + waiting, 'message')}, ${counted(letters, 'dead letter')}, ${count(ids)} ids`
}

function headline(from: string, to: string, { counts, continued, wasFinished }: CopyReport, seconds: number): string {
  if (wasFinished) return `${from} was copied to ${to} already. Nothing was written.`
  const { messages, waiting, letters } = counts
  const speed = rate((messages + waiting + letters) / seconds)
  const how = continued > 0 ? ', continuing an interrupted copy' : ''
  return `Copied ${from} to ${to} in ${seconds.toFixed(1)} s (${speed})${how}.`
}

function summary({ streams, messages, cursors, queues, waiting, letters, parked, ids }: Counts): string {
  return `${counted(streams, 'stream')}: ${counted(messages, 'message')}, ${counted(cursors, 'cursor')}
${counted(queues, 'queue')}: ${counted(waiting, 'message')}, ${counted(letters, 'dead letter')}, ${counted(parked, 'parked group')}
${counted(ids, 'message id')} for deduplication
Compared: both hold the same.
Not kept: leases (what consumers had waits again, without a charge) and the totals of the hubs.
Start hubs on one of the two only: both give the same offsets to what is published next.
`
}
