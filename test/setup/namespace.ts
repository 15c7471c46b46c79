import { execFileSync } from 'node:child_process'
import process from 'node:process'
import { onTestFinished } from 'vitest'
import type { NetworkPlace } from './hub-process.ts'

let networks = 0

/** Why namespaces cannot be made here, in one sentence; undefined if they can. */
export const noNamespaces: string | undefined = reason()

function reason(): string | undefined {
  const name = `ff-${process.pid}`
  try {
    ip('netns', 'add', name)
    ip('netns', 'del', name)
    return undefined
  } catch (error) {
    return `Partitions are not tested: this machine does not permit network namespaces (${(error as Error).message.split('\n')[0]}).`
  }
}

/**
 * A network of its own for a hub, joined to this machine by two cables: one to Redis, one to its clients. On one that is cut everything is lost in silence, in both
 * directions, and connections stay open. It ends with the test.
 */
export class Namespace implements NetworkPlace {
  readonly host: string
  /** Where the hub reaches this machine. */
  readonly redisHost: string
  readonly run: readonly string[]
  private readonly name: string

  constructor() {
    const number = networks++
    const subnet = `10.${100 + (process.pid % 100)}.${number}`
    this.name = `ff${process.pid % 10_000}n${number}`
    this.redisHost = `${subnet}.1`
    this.host = `${subnet}.6`
    this.run = ['ip', 'netns', 'exec', this.name]
    ip('netns', 'add', this.name)
    onTestFinished(() => void ip('netns', 'del', this.name))
    ip('-n', this.name, 'link', 'set', 'lo', 'up')
    this.join('r', this.redisHost, `${subnet}.2`)
    this.join('c', `${subnet}.5`, this.host)
  }

  cut(cable: 'redis' | 'clients'): void {
    ip('link', 'set', this.cable(cable), 'down')
  }

  mend(cable: 'redis' | 'clients'): void {
    ip('link', 'set', this.cable(cable), 'up')
  }

  private cable(cable: 'redis' | 'clients'): string {
    return `${this.name}${cable === 'redis' ? 'r' : 'c'}`
  }

  private join(suffix: string, here: string, there: string): void {
    const end = `${this.name}${suffix}`
    ip('link', 'add', end, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', this.name)
    ip('-n', this.name, 'link', 'set', 'eth0', 'name', suffix)
    ip('addr', 'add', `${here}/30`, 'dev', end)
    ip('-n', this.name, 'addr', 'add', `${there}/30`, 'dev', suffix)
    ip('link', 'set', end, 'up')
    ip('-n', this.name, 'link', 'set', suffix, 'up')
  }
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: 'pipe' })
}
