import { Buffer } from 'node:buffer'
import { FanfareError } from '../../../shared/errors.ts'
import type { DeadLetter, DeadLetterFilter, DeadReason } from '../../../shared/queues.ts'
import { jsonMessage } from '../json-message.ts'
import type { LetterNumbers, LetterRange } from '../letter-pages.ts'
import { type DeathNote, letterCondition, lettersMeant, restWithoutExpiry } from '../rules/dead-letters.ts'
import { DEFAULT_PRIORITY } from '../rules/order.ts'
import { type OpResult, valuesOf } from './answers.ts'
import { LETTER_MICROS } from './costs.ts'
import type { Argument } from './link.ts'
import { QUEUE_LOOK } from './lua/reads.ts'
import type { QueueMirror } from './queue-mirror.ts'
import { encodeAttributes, readBody, storedAttributes } from './queue-record.ts'
import { encodeRecord } from './record.ts'
import type { StreamReads } from './stream-reads.ts'
import type { Turns } from './turns.ts'

/** Approximate size of one page of dead letters, and of what one look takes, in bytes. */
const PAGE_BYTES = 1024 * 1024
/** Letters that one look by their numbers takes. */
const LOOK_LETTERS = 50

/** A message that is damaged is shown like this. It can be purged only. */
const UNREADABLE = '{"type":"message","id":"","topic":"","publishedAt":0,"data":null}'

/** What a script has noted of a death. */
export interface Note {
  readonly seq: number
  readonly reason: DeadReason
  readonly attempts: number
  readonly error?: string
  readonly publishedAt: number
  readonly diedAt: number
}

interface FoundLetter {
  readonly letter: number
  readonly note: Note
  readonly header: Buffer
  readonly body: Buffer
  readonly size: number
}

/** The dead letters of queues. */
export class QueueLetters {
  private readonly turns: Turns
  private readonly reads: StreamReads
  private before: Promise<unknown> = Promise.resolve()

  constructor(turns: Turns, reads: StreamReads) {
    this.turns = turns
    this.reads = reads
  }

  async page(mirror: QueueMirror, filter: DeadLetterFilter, from: number, limit: number): Promise<DeadLetter[]> {
    const { name } = mirror.options
    const { taken } = await this.take(mirror, filter, { from, limit, bytes: PAGE_BYTES }, (found) => shown(found, name))
    return taken
  }

  async numbers(mirror: QueueMirror, filter: DeadLetterFilter, range: LetterRange): Promise<LetterNumbers> {
    const { taken, next, end } = await this.take(mirror, filter, range, ({ letter }) => letter)
    return { numbers: taken, next, end }
  }

  redrive(from: QueueMirror, numbers: readonly number[], to: QueueMirror, full: () => FanfareError): Promise<number> {
    return this.inOrder(async () => {
      const args: Argument[] = [from.number, to.number]
      const some = [...new Set(numbers)].sort((a, b) => a - b)
      for (let at = 0; at < some.length; at += LOOK_LETTERS) {
        const found = await this.look('lettersOf', from.number, ...some.slice(at, at + LOOK_LETTERS))
        for (const each of found) {
          const moved = movedParts(each)
          if (moved) args.push(each.letter, ...moved)
        }
      }
      const result = await this.turns.task({ name: 'qredrive', args, micros: some.length * LETTER_MICROS.moved })
      if (result.x === 'LIMIT') throw full()
      return count(result, from)
    })
  }

  purge(mirror: QueueMirror, numbers: readonly number[]): Promise<number> {
    const micros = numbers.length * LETTER_MICROS.deleted
    const op = { name: 'qletters', args: [mirror.number, ...numbers], micros }
    return this.inOrder(async () => count(await this.turns.task(op, { frees: true }), mirror))
  }

  /** One after another, for a redrive has to look first. */
  private inOrder(act: () => Promise<number>): Promise<number> {
    const acted = this.before.then(act)
    this.before = acted.catch(() => {})
    return acted
  }

  /** Takes something of each letter that matches, until there is enough of it. */
  private async take<Taken>(
    { number, nextLetter }: QueueMirror,
    filter: DeadLetterFilter,
    { from, limit, bytes }: LetterRange,
    of: (found: FoundLetter) => Taken,
  ): Promise<{ taken: Taken[]; next: number; end: number }> {
    const { only, to: end } = lettersMeant(filter, from, nextLetter)
    const meets = letterCondition(filter) ?? (() => true)
    const taken: Taken[] = []
    let left = bytes
    let at = from
    let nextOnly = 0
    while (at < end) {
      if (taken.length >= limit || left <= 0) return { taken, next: at, end }
      const some = only?.slice(nextOnly, nextOnly + LOOK_LETTERS)
      const found = some
        ? await this.look('lettersOf', number, ...some)
        : await this.look('letters', number, at, end, Math.min(left, PAGE_BYTES))
      for (const each of found) {
        if (taken.length >= limit || left <= 0) return { taken, next: each.letter, end }
        at = each.letter + 1
        if (!meets(noteOf(each))) continue
        taken.push(of(each))
        left -= each.size
      }
      if (some) {
        nextOnly += some.length
        at = Math.max(at, (some.at(-1) ?? end) + 1)
        if (some.length < LOOK_LETTERS) at = end
      } else if (found.length === 0) at = end
    }
    return { taken, next: end, end }
  }

  private async look(read: 'letters' | 'lettersOf', ...args: number[]): Promise<FoundLetter[]> {
    const values = (await this.reads.run(QUEUE_LOOK, read, ...args)) as Buffer[]
    const found: FoundLetter[] = []
    for (let at = 0; at < values.length; at += 4) {
      const [id, note, header, body] = values.slice(at, at + 4) as [Buffer, Buffer, Buffer, Buffer]
      // The numbers of letters begin at 0, the ids of a stream of Redis at 1.
      const letter = Number(id) - 1
      found.push({ letter, note: JSON.parse(String(note)) as Note, header, body, size: note.length + body.length })
    }
    return found
  }
}

function count(result: OpResult, { options }: QueueMirror): number {
  if (result.x === 'GONE')
    throw new FanfareError('no_queue', `There is no queue "${options.name}". Declare it, or correct its name.`)
  return valuesOf<[number]>(result)[0]
}

function noteOf({ note, header, body }: FoundLetter): DeathNote {
  const { seq: _, error, ...rest } = note
  return { ...rest, error, topic: readBody(body)?.parts.topic ?? '', key: storedAttributes(header).key }
}

function shown({ letter, note, body }: FoundLetter, origin: string): DeadLetter {
  const { reason, error, attempts, publishedAt, diedAt } = note
  return {
    letter,
    message: jsonMessage(readBody(body)?.wire ?? UNREADABLE),
    reason,
    error,
    attempts,
    publishedAt,
    diedAt,
    origin,
  }
}

/** Attributes and body of the message that a letter becomes: of the default priority, without expiry. Nothing if it is damaged. */
function movedParts({ header, body }: FoundLetter): [Buffer, Buffer] | undefined {
  const message = readBody(body)
  if (!message) return undefined
  const { bytes, key, isScoped } = storedAttributes(header)
  const { parts, about } = message
  const { id, topic, headers, rest, payload } = parts
  const restLeft = restWithoutExpiry(rest)
  const record = encodeRecord({
    id,
    topic,
    key: parts.key,
    headers,
    rest: restLeft,
    payload,
    expiresAt: undefined,
    bytes: 0,
  })
  const attributes = encodeAttributes({
    key,
    isScoped,
    priority: DEFAULT_PRIORITY,
    bytes: bytes - (rest.length - restLeft.length),
    length: record.length,
    expiresAt: undefined,
    dueAt: undefined,
  })
  return [attributes, Buffer.concat([about, record])]
}
