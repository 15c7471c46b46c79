import { Command } from 'commander'
import { hashApiKey, newApiKey } from '../auth/api-key.ts'

export function apiKeyCommand(): Command {
  return new Command('api-key')
    .description('make a key for a service, and the hash that auth.apiKeys of the configuration has of it')
    .option('--json', 'a line of JSON')
    .action(({ json }: { json?: true }) => {
      const key = newApiKey()
      const hash = hashApiKey(key)
      process.stdout.write(json ? `${JSON.stringify({ key, hash })}\n` : `key   ${key}\nhash  ${hash}\n`)
    })
}
