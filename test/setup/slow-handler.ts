import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { SubscribeOptions } from '../../client/node.ts'

const PROCESS = fileURLToPath(new URL('./slow-handler-process.js', import.meta.url))

export interface Reading {
  readonly url: string
  readonly pattern: string
  /** The handler keeps its process busy for this long with each message. */
  readonly handlerMs: number
  readonly options: SubscribeOptions
}

export type Seen =
  | { readonly what: 'ready' }
  /** A message was handled; its age, when that began. */
  | { readonly what: 'handled'; readonly n: number; readonly key: string | undefined; readonly ageMs: number }
  | { readonly what: 'gap'; readonly count: number; readonly reason: string }
  | { readonly what: 'lost'; readonly closeCode: number | undefined }

/** A subscriber in a process of its own, whose handler is synchronous and slow. */
export class SlowHandler {
  readonly seen: Seen[] = []
  private readonly child: ChildProcess

  private constructor(child: ChildProcess) {
    this.child = child
    child.on('message', (seen) => this.seen.push(seen as Seen))
  }

  /** Resolves when it is subscribed. */
  static async start(reading: Reading): Promise<SlowHandler> {
    const child = fork(PROCESS, { execArgv: [] })
    const reader = new SlowHandler(child)
    child.send(reading)
    await Promise.race([once(child, 'message'), once(child, 'exit')])
    return reader
  }

  get handled(): Extract<Seen, { what: 'handled' }>[] {
    return this.seen.filter((each) => each.what === 'handled')
  }

  get gaps(): Extract<Seen, { what: 'gap' }>[] {
    return this.seen.filter((each) => each.what === 'gap')
  }

  /** What it has handled, or knows to be missing. */
  get accounted(): number {
    return this.handled.length + this.gaps.reduce((sum, { count }) => sum + count, 0)
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    this.child.kill('SIGKILL')
    await once(this.child, 'exit')
  }
}
