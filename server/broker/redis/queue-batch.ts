import type { Buffer } from 'node:buffer'
import type { Offsets } from '../../../shared/streams.ts'
import type { Placement } from '../broker.ts'
import { compose } from '../compose.ts'
import { ATTRIBUTE_BYTES, scopeIn, storedAttributes, TIME_BYTES } from './queue-record.ts'
import { RecordParts } from './record.ts'

const NEWLINE = 10
/** Of numbers, before a line of offsets. */
const NUMBERS = 7

/** A batch that this node has on lease. */
export interface LeasedBatch {
  readonly first: number
  readonly count: number
}

export interface BatchMessage {
  readonly seq: number
  /** In the queue. */
  readonly bytes: number
  readonly wire: string | Uint8Array
}

/** The messages of a batch: see `lua/queue-batches.ts`. Throws an error if it is damaged. */
export function messagesOfBatch(stored: Buffer): BatchMessage[] {
  const offsetsAt = stored.indexOf(NEWLINE) + 1
  const enteredAt = stored.indexOf(NEWLINE, offsetsAt) + 1
  const numbers = stored
    .toString('latin1', 0, offsetsAt - 1)
    .split(' ')
    .map(Number)
  const [first, count, origin, publishedAt, , idBytes] = numbers as [number, number, number, number, number, number]
  if (numbers.length !== NUMBERS) throw new RangeError('a damaged batch')
  const idsAt = enteredAt + TIME_BYTES + count * ATTRIBUTE_BYTES
  const ids = idBytes === 0 ? undefined : stored.toString('utf8', idsAt, idsAt + idBytes).split('\n')
  const offsetsOf = offsetsIn(stored.toString('utf8', offsetsAt, enteredAt - 1))
  const messages: BatchMessage[] = []
  let at = idsAt + idBytes
  for (let n = 0; n < count; n++) {
    const { bytes, isScoped } = storedAttributes(stored, enteredAt + TIME_BYTES + n * ATTRIBUTE_BYTES)
    const parts = new RecordParts(stored, at)
    const scope = isScoped ? scopeIn(ids?.[n] ?? '', parts.id) : undefined
    const placement: Placement = { publishedAt, offsets: offsetsOf(first + n - origin), scope }
    messages.push({ seq: first + n, bytes, wire: compose(parts, placement) })
    at = parts.end
  }
  if (at !== stored.length) throw new RangeError('a damaged batch')
  return messages
}

/** The offsets of the message that came some places after the first one. */
function offsetsIn(json: string): (place: number) => Offsets {
  if (json === '') return () => NO_OFFSETS
  const bases = Object.entries(JSON.parse(`{${json}}`) as Record<string, number>)
  return (place) => Object.fromEntries(bases.map(([name, base]) => [name, base + place]))
}

const NO_OFFSETS: Offsets = {}
