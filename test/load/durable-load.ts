import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { print } from './report.ts'
import { fanfare, type Running } from './targets.ts'

/** A load of what lies on the disk: streams or queues. */
export interface DurableLoad {
  readonly engine: string
  readonly size: number
  /** Messages of the long stream or queue. */
  readonly messages: number
  readonly seconds: number
  /** Where data directories are made, and removed afterwards. */
  readonly folder: string
}

/** Makes the folder of a load, and removes it when the process ends. */
export function folderOf({ folder, engine, size }: DurableLoad, name: string): string {
  const made = mkdtempSync(join(folder, `fanfare-${name}-`))
  // Also where a signal ends the load: servers first, they write there.
  process.once('exit', () => rmSync(made, { recursive: true, force: true }))
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(1))
  print(`Messages of ${size} bytes, engine ${engine}, data in ${made}.`)
  return made
}

/** The flags of a hub with this data directory, and what it declares. */
export function flagsFor(data: string, declared: object = {}): string[] {
  const config = `${data}.json`
  writeFileSync(config, JSON.stringify(declared))
  return ['--data', data, '--config', config]
}

/** Starts a hub as its users run it, on all cores. */
export function start({ engine }: DurableLoad, flags: readonly string[]): Promise<Running> {
  return fanfare(engine, flags, 'all').start()
}

export function urlOf({ port }: Running): string {
  return `ws://127.0.0.1:${port}`
}
