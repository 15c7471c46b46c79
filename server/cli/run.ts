import { CommanderError } from 'commander'
import { FanfareError } from '../../shared/errors.ts'
import { Declined } from './confirm.ts'
import { EXIT } from './exit.ts'
import { fanfareProgram } from './program.ts'
import { UsageError } from './usage.ts'
import { CannotRun } from './workers.ts'
import { checkSubcommand } from './wrong-subcommand.ts'

/** Runs a command line. Sets the exit code of the process, and throws only bugs. */
export async function run(args: readonly string[]): Promise<void> {
  const program = fanfareProgram()
  handleLostOutput()
  try {
    checkSubcommand(program, args)
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    process.exitCode = exitCodeOf(error)
  }
}

/** Prints the error, unless the command-line parser already has. */
function exitCodeOf(error: unknown): number {
  // The parser also throws after `--help` and `--version`.
  if (error instanceof CommanderError) return error.exitCode === 0 ? Number(process.exitCode ?? 0) : EXIT.usage
  if (error instanceof Declined) {
    process.stderr.write('Nothing was changed.\n')
    return EXIT.failed
  }
  if (error instanceof UsageError) {
    process.stderr.write(`fanfare: ${error.message}\n`)
    return EXIT.usage
  }
  if (error instanceof CannotRun) {
    process.stderr.write(`fanfare: ${error.message}\n`)
    return EXIT.failed
  }
  if (!(error instanceof FanfareError)) throw error
  process.stderr.write(`fanfare: ${error.code}: ${error.message}\n`)
  return error.code === 'bad_config' ? EXIT.usage : EXIT.failed
}

/**
 * A reader that has had enough, such as `head`, is not a failure: the command does what it was told, and what it prints from then on
 * is discarded. Output that could not be written for another reason, such as a full disk, makes the command fail.
 */
function handleLostOutput(): void {
  let reported = false
  const lost = ({ code, message }: NodeJS.ErrnoException) => {
    if (code === 'EPIPE') return
    process.exitCode = EXIT.failed
    if (reported) return
    reported = true
    process.stderr.write(`fanfare: The output could not be written: ${message}.\n`)
  }
  for (const output of [process.stdout, process.stderr]) output.on('error', lost)
}
