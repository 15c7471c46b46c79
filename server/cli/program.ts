import { Command } from 'commander'
import { version } from '../version.ts'
import { apiKeyCommand } from './api-key.ts'
import { backupCommand } from './backup.ts'
import { benchCommand } from './bench.ts'
import { completionCommand } from './completion.ts'
import { connectionsCommand } from './connections.ts'
import { copyCommand } from './copy.ts'
import { EXIT_CODES } from './exit.ts'
import { hubCommand } from './hub.ts'
import { nodesCommand } from './nodes.ts'
import { pubCommand } from './pub.ts'
import { queuesCommand } from './queues.ts'
import { requestCommand } from './request.ts'
import { serveCommand } from './serve.ts'
import { streamsCommand } from './streams.ts'
import { subCommand } from './sub.ts'
import { tokenCommand } from './token.ts'
import { topicsCommand } from './topics.ts'
import { workCommand } from './work.ts'
import { pathOf } from './wrong-subcommand.ts'

/** All commands of `fanfare`. */
export function fanfareProgram(): Command {
  const program = new Command('fanfare')
    .description('Live topics, replayable streams and work queues over one WebSocket, for browsers and Node services.')
    .usage('<command> [options]')
    .version(version, '-v, --version', 'print the version')
    .commandsGroup('Run a hub:')
    .addCommand(serveCommand())
    .addCommand(backupCommand())
    .addCommand(copyCommand())
    .addCommand(tokenCommand())
    .addCommand(apiKeyCommand())
    .commandsGroup('Send and receive:')
    .addCommand(pubCommand())
    .addCommand(subCommand())
    .addCommand(requestCommand())
    .addCommand(workCommand())
    .commandsGroup('Inspect and manage a hub:')
    .addCommand(hubCommand())
    .addCommand(nodesCommand())
    .addCommand(topicsCommand())
    .addCommand(streamsCommand())
    .addCommand(queuesCommand())
    .addCommand(connectionsCommand())
    .commandsGroup('Other:')
    .addCommand(benchCommand())
    .addCommand(completionCommand(fanfareProgram))
    .helpCommand('help [command]', 'show the help of a command')
    .configureHelp({ subcommandTerm: (command) => command.name() })
    .addHelpText('after', `\nExit codes:\n${EXIT_CODES.map(([code, text]) => `  ${code.padEnd(5)}${text}`).join('\n')}`)
    .addHelpText('after', '\n"fanfare help <command>" shows options and examples of a command.')
  for (const command of everyCommand(program)) reportUsage(command)
  return program
}

/** A command and all its subcommands, recursively. */
export function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap(everyCommand)]
}

/** Reports a wrong command line in the form of all errors, and ends the process where all errors do. */
function reportUsage(command: Command): void {
  command
    .helpOption('-h, --help', 'show this help')
    .configureOutput({
      outputError: (text, write) => write(`${sentence(text)} See "${pathOf(command)} --help".\n`),
    })
    .exitOverride()
}

/** The parser's error message as one line. */
function sentence(text: string): string {
  const line = text
    .trim()
    .replace(/^error: /, 'fanfare: ')
    .replace(/\.?\n/g, '. ')
  return /[.)]$/.test(line) ? line : `${line}.`
}
