import { Command } from 'commander'
import type { Client } from '../../client/client.ts'
import { type Coverage, missingHubs } from '../../shared/sys.ts'
import { connected } from './connected.ts'
import { addHub, addTimeout, connectTo, type HubAddress } from './connection-options.ts'
import { jsonLine } from './data.ts'

/** Options of every command that calls a hub. */
export interface CommandOptions extends HubAddress {
  /** In milliseconds. */
  readonly timeout: number
  readonly json?: true
}

/** Creates a command that calls a hub. Its output is for people or, with `--json`, for programs. */
export function asking(name: string, text: string): Command {
  return addTimeout(
    addHub(new Command(name).description(text).option('--json', 'print JSON Lines: one object per line')),
  )
}

/** Connects for one task and closes the client afterwards. */
export async function askHub(
  { timeout, ...hub }: Pick<CommandOptions, 'url' | 'token' | 'timeout'>,
  task: (client: Client) => Promise<void>,
): Promise<void> {
  const client = connectTo(hub, 'fanfare')
  try {
    await connected(client, hub.url, timeout)
    await task(client)
  } finally {
    await client.close()
  }
}

/** `readable` also gets the hub's time. Pass it if the items have times to compare with it. */
export function print<Item>(
  items: readonly Item[],
  { json }: Pick<CommandOptions, 'json'>,
  readable: (items: readonly Item[], now: number) => string,
  now = 0,
): void {
  process.stdout.write(json ? items.map((item) => `${jsonLine(item)}\n`).join('') : readable(items, now))
}

/** Says on standard error which hubs a list lacks; standard output stays the list. */
export function noteMissing(coverage: Partial<Coverage>): void {
  const note = missingHubs(coverage)
  if (note !== undefined) process.stderr.write(`fanfare: note: ${note}\n`)
}

/** Prints what was done: a sentence for people, or an object for programs. */
export function report(done: object, { json }: Pick<CommandOptions, 'json'>, sentence: string): void {
  process.stdout.write(json ? `${jsonLine(done)}\n` : `${sentence}\n`)
}
