import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Entry } from './checker.ts'

const GROUPS = 10
const ROLES = ['publisher', 'worker', 'reader'] as const
export type Role = (typeof ROLES)[number]

/** The clients of a round, every one a process, and what they have noted. */
export class Crew {
  private readonly url: string
  private readonly folder: string
  private readonly running = new Map<string, { role: Role; child: ChildProcess }>()
  private started = 0
  /** How many lines of each role are of rounds before this one. */
  private readonly before = new Map<Role, number>()

  constructor(url: string, folder: string) {
    this.url = url
    this.folder = folder
  }

  /** Another round begins. */
  async begin(publishers: number): Promise<void> {
    for (const role of ROLES) this.before.set(role, this.notes(role).length)
    await Promise.all(Array.from({ length: publishers }, () => this.hire('publisher')))
  }

  get size(): number {
    return this.running.size
  }

  async hire(role: Role): Promise<void> {
    const name = `${role}-${++this.started}`
    const script = fileURLToPath(new URL(`./${role}.js`, import.meta.url))
    const env = { ...process.env, NAME: name, HISTORY: this.file(role), FANFARE_URL: this.url, GROUPS: `${GROUPS}` }
    const child = spawn(process.execPath, [script], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    this.running.set(name, { role, child })
    await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data'), once(child, 'exit')])
  }

  /** Kills one of a role as a crash does, and starts a successor, which has another name. */
  async replace(role: Role, which: number): Promise<void> {
    const those = this.all(role)
    const [name, { child }] = those[which % those.length] as (typeof those)[number]
    this.running.delete(name)
    child.kill('SIGKILL')
    await this.hire(role)
  }

  /** Resolves once all that they have asked for is answered. */
  async endPublishers(): Promise<void> {
    const publishers = this.all('publisher')
    for (const [, { child }] of publishers) child.kill('SIGTERM')
    await Promise.all(publishers.map(([, { child }]) => child.exitCode ?? once(child, 'exit')))
    for (const [name] of publishers) this.running.delete(name)
  }

  /** The reader of now, who has read all from the beginning. */
  get reader(): string {
    return this.all('reader')[0]?.[0] ?? ''
  }

  /** How clients ended that no round had ended. */
  get crashes(): string[] {
    const ended = [...this.running].filter(([, { child }]) => child.exitCode !== null)
    return ended.map(([name, { child }]) => `${name} ended with ${child.exitCode}`)
  }

  history(): Entry[] {
    return ROLES.flatMap((role) => this.notes(role))
  }

  /** That of this round. */
  fresh(): Entry[] {
    return ROLES.flatMap((role) => this.notes(role).slice(this.before.get(role)))
  }

  notes(role: Role): Entry[] {
    if (!existsSync(this.file(role))) return []
    const lines = readFileSync(this.file(role), 'utf8').split('\n')
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Entry)
  }

  close(): void {
    for (const { child } of this.running.values()) child.kill('SIGKILL')
  }

  private all(role: Role) {
    return [...this.running].filter(([, each]) => each.role === role)
  }

  private file(role: Role): string {
    return join(this.folder, `${role}.history`)
  }
}
