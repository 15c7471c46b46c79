import { Command } from 'commander'
import { hashApiKey, newApiKey } from '../auth/api-key.ts'
import { withExamples } from './examples.ts'

export function apiKeyCommand(): Command {
  const command = new Command('api-key')
    .description('create an API key for a service, and its hash for auth.apiKeys in the configuration')
    .option('--json', 'print one JSON object')
    .action(({ json }: { json?: true }) => {
      const key = newApiKey()
      const hash = hashApiKey(key)
      process.stdout.write(json ? `${JSON.stringify({ key, hash })}\n` : `key   ${key}\nhash  ${hash}\n`)
    })
  return withExamples(command, ['fanfare api-key'])
}
