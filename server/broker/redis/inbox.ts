import type { Buffer } from 'node:buffer'
import type { Call, CommitEvent } from './answers.ts'

/** What a node hears: a commit with the records of its messages, or that it is called. */
export interface Heard {
  readonly event: CommitEvent | Call
  readonly records: readonly Buffer[]
}

/** Puts together what one connection hears. The parts of an event come one after the other: a script has sent them in one step. */
export class Inbox {
  private event: CommitEvent | undefined = undefined
  private records: Buffer[] = []

  /** Takes the next part. Gives what is whole with it. */
  take(bytes: Buffer): Heard | undefined {
    if (this.event) {
      this.records.push(bytes)
      return this.whole(this.event)
    }
    const event = JSON.parse(bytes.toString('utf8', 4, 4 + bytes.readUInt32BE(0))) as CommitEvent | Call
    return 'w' in event ? { event, records: [] } : this.whole(event)
  }

  private whole(event: CommitEvent): Heard | undefined {
    const { records } = this
    this.event = records.length < event.b ? event : undefined
    if (this.event) return undefined
    this.records = []
    return { event, records }
  }
}
