import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { type Hub, type HubOptions, startHub } from '../../server/index.ts'
import { BUNDLE } from './hub-bundle.ts'
import { OwnProcess } from './own-process.ts'

/** The built command `fanfare`. */
const MAIN = fileURLToPath(new URL('../../dist/server/main.js', import.meta.url))

/** A process that ends with the test at the latest. */
export class RunningCommand extends OwnProcess {
  constructor(command: string, args: readonly string[], env?: Record<string, string>, cwd?: string) {
    super(command, args, env, cwd)
    onTestFinished(async () => {
      this.signal('SIGKILL')
      await this.exit
    })
  }
}

/** Runs `fanfare` with these arguments. */
export function fanfare(args: readonly string[], env?: Record<string, string>, main = MAIN): RunningCommand {
  return new RunningCommand(process.execPath, [main, ...args], env)
}

/** Runs a line of shell, in the folder of the package or another one. */
export function shell(line: string, env?: Record<string, string>, cwd?: string): RunningCommand {
  return new RunningCommand('/bin/sh', ['-c', line], env, cwd)
}

/** A hub in the process of the test, for commands that speak to one: unlike `serve` it is there at once. It ends with the test. */
export async function hubHere(options: HubOptions = {}): Promise<{ hub: Hub; port: number; url: string }> {
  const hub = await startHub({ port: 0, drainTimeout: 1000, ...options })
  onTestFinished(() => hub.close())
  return { hub, port: hub.port, url: `ws://127.0.0.1:${hub.port}` }
}

/** Starts `fanfare serve`, and resolves when it listens. It stores nothing unless a data directory is given. */
export async function serve(args: readonly string[] = [], env?: Record<string, string>) {
  const defaults = [['--port', '0'] as const, ['--data', 'memory'] as const]
  const missing = defaults.filter(([flag]) => !args.includes(flag)).flat()
  const command = fanfare(['serve', ...missing, ...args], env, BUNDLE)
  const port = Number((await command.said('stderr', /"port":(\d+)[,}]/))[1])
  return { command, port, url: `ws://127.0.0.1:${port}` }
}
