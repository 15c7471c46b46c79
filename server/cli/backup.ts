import { Command } from 'commander'
import { DEFAULTS } from '../defaults.ts'

export function backupCommand(): Command {
  return new Command('backup')
    .description('copy a data directory, while its hub runs; start a hub on the copy to restore it')
    .argument('<to>', 'directory of the copy, new or empty')
    .option('--data <directory>', 'the data directory', process.env['FANFARE_DATA'] ?? DEFAULTS.data)
    .action(async (to: string, { data }: { data: string }) => {
      const { backup } = await import('../broker/embedded/store/backup.ts')
      const bytes = await backup(data, to)
      process.stdout.write(`${data} is copied to ${to}: ${bytes} bytes\n`)
    })
}
