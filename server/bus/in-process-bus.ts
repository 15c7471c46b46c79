import { hostname } from 'node:os'
import { randomId } from '../id/random-id.ts'
import type { Bus } from './bus.ts'

/** The bus of a hub that is alone: there is no other node, so nothing is carried and nothing waits. */
export class InProcessBus implements Bus {
  readonly node: Bus['node']
  readonly isCutOff = false
  readonly reconnections = 0
  readonly figures = { sentMessages: 0, receivedMessages: 0, sentBytes: 0, receivedBytes: 0, lagMs: 0 }

  constructor(name = hostname()) {
    this.node = { id: randomId(10), name }
  }

  async open(): Promise<void> {}

  publish(): void {}

  subscribe(): undefined {}

  unsubscribe(): void {}

  async ask(): Promise<undefined> {}

  async close(): Promise<void> {}
}
