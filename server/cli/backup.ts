import { Command, Option } from 'commander'
import { DEFAULTS } from '../defaults.ts'
import { withExamples } from './examples.ts'
import { size } from './table.ts'

export function backupCommand(): Command {
  const command = new Command('backup')
    .description('copy a data directory, even while its hub is running; to restore it, start a hub on the copy')
    .argument('<to>', 'directory of the copy: new or empty')
    .addOption(
      new Option('-d, --data <directory>', 'data directory of the hub').env('FANFARE_DATA').default(DEFAULTS.data),
    )
    .action(async (to: string, { data }: { data: string }) => {
      const { backup } = await import('../broker/embedded/store/backup.ts')
      const bytes = await backup(data, to)
      process.stdout.write(`Copied ${data} to ${to}: ${size(bytes)}.\n`)
    })
  return withExamples(
    command,
    ['fanfare backup ./backup'],
    ['fanfare serve --data ./backup --port 4748', 'start a hub on the copy'],
  )
}
