import type { Buffer } from 'node:buffer'
import type { CommittedMessage, MessageParts, Placement } from '../broker.ts'
import { compose } from '../compose.ts'
import { type CommitEvent, listOf } from './answers.ts'
import { RecordParts } from './record.ts'

/** The messages of a commit, from the records that came with it. */
export function messagesIn(event: CommitEvent, records: readonly Buffer[]): CommittedMessage[] {
  const parts: MessageParts[] = []
  for (const bytes of records) {
    for (let at = 0; at < bytes.length; ) {
      const record = new RecordParts(bytes, at)
      parts.push(record)
      at = record.end
    }
  }
  return placed(event, parts)
}

/** Messages with the places that a commit gave them. */
export function placed(event: CommitEvent, parts: readonly MessageParts[]): CommittedMessage[] {
  const messages: CommittedMessage[] = []
  for (const [count, bases, isQueued] of listOf(event.m)) {
    const names = Object.keys(bases)
    const isKept = names.length > 0 || isQueued === 1
    for (let n = 0; n < count; n++) {
      const each = parts[messages.length] as MessageParts
      messages.push(new PlacedMessage(each, () => (isKept ? placement(names, bases, n, event.t) : undefined)))
    }
  }
  return messages
}

/** Says only when it is asked what only a reader wants: most messages have none here. */
class PlacedMessage implements CommittedMessage {
  readonly parts: MessageParts
  private readonly place: () => Placement | undefined

  constructor(parts: MessageParts, place: () => Placement | undefined) {
    this.parts = parts
    this.place = place
  }

  get placement(): Placement | undefined {
    return this.place()
  }

  get wire(): string | Uint8Array {
    return compose(this.parts, this.placement)
  }
}

function placement(
  names: readonly string[],
  bases: Readonly<Record<string, number>>,
  n: number,
  publishedAt: number,
): Placement {
  const offsets: Record<string, number> = Object.create(null)
  for (const name of names) offsets[name] = (bases[name] as number) + n
  return { publishedAt, offsets, scope: undefined }
}
