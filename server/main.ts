#!/usr/bin/env node
import { Command } from 'commander'
import { FanfareError } from '../shared/errors.ts'
import { apiKeyCommand } from './cli/api-key.ts'
import { backupCommand } from './cli/backup.ts'
import { benchCommand } from './cli/bench.ts'
import { connectionsCommand } from './cli/connections.ts'
import { pubCommand } from './cli/pub.ts'
import { queuesCommand } from './cli/queues.ts'
import { requestCommand } from './cli/request.ts'
import { serveCommand } from './cli/serve.ts'
import { streamsCommand } from './cli/streams.ts'
import { subCommand } from './cli/sub.ts'
import { tokenCommand } from './cli/token.ts'
import { workCommand } from './cli/work.ts'
import { version } from './version.ts'

const program = new Command('fanfare')
  .description(
    'A real-time hub: live topics, replayable streams and work queues over one WebSocket, for browsers and Node services.',
  )
  .version(version)
  .addCommand(serveCommand())
  .addCommand(pubCommand())
  .addCommand(subCommand())
  .addCommand(requestCommand())
  .addCommand(streamsCommand())
  .addCommand(queuesCommand())
  .addCommand(workCommand())
  .addCommand(tokenCommand())
  .addCommand(apiKeyCommand())
  .addCommand(backupCommand())
  .addCommand(connectionsCommand())
  .addCommand(benchCommand())

try {
  await program.parseAsync()
} catch (error) {
  if (!(error instanceof FanfareError)) throw error
  process.stderr.write(`fanfare: ${error.code}: ${error.message}\n`)
  process.exitCode = 1
}
