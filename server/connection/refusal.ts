import type { Clock } from '../../shared/clock.ts'
import { errorEntry, type FanfareError } from '../../shared/errors.ts'
import type { ErrorFrame, Frame } from '../../shared/frames.ts'
import { QUEUE_TOPIC } from '../../shared/queues.ts'

/**
 * Frames that are refused beyond a limit. Acks and frames that end something are counted but processed, because refusing them would
 * cost more.
 */
const NEW_WORK: readonly unknown[] = [
  'publish',
  'ask',
  'subscribe',
  'consume',
  'respond',
  'call',
] satisfies Frame['type'][]

export function isNewWork(value: unknown): boolean {
  return typeof value === 'object' && value !== null && NEW_WORK.includes((value as { type?: unknown }).type)
}

/** Maximum errors with a message per second and connection. */
const EXPLAINED_PER_SECOND = 100

/**
 * Maximum frames per second and connection that are invalid but cost only themselves: malformed, with a forbidden key, beyond the
 * window. One more costs the connection.
 */
const MALFORMED_PER_SECOND = 100

/**
 * Decides which refusals of a connection are explained. Masses of refused frames must not be answered with many times as many
 * bytes: beyond this many per second an error has no message, and an error that names no request is not sent.
 */
export class Explanations {
  private readonly clock: Clock
  private second = 0
  private count = 0
  private malformedCount = 0

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** The error frame to send, or undefined if none is sent. `detailed` has what is too much work for an error that is not read. */
  frameFor(error: FanfareError, about: unknown, detailed: () => FanfareError | undefined): ErrorFrame | undefined {
    this.look()
    if (++this.count <= EXPLAINED_PER_SECOND) return errorFrame(detailed() ?? error, about)
    const frame = errorFrame(error, about)
    return ABOUT.some((name) => frame[name] !== undefined) ? { ...frame, message: '' } : undefined
  }

  /** Counts an invalid frame. Returns false if there are too many. */
  malformed(): boolean {
    this.look()
    return ++this.malformedCount <= MALFORMED_PER_SECOND
  }

  private look(): void {
    const second = Math.floor(this.clock.now() / 1000)
    if (second !== this.second) this.count = this.malformedCount = 0
    this.second = second
  }
}

/**
 * Whether an error costs only its frame: the frame has a number, so that its sender can identify it, and the sender is at fault.
 */
export function costsItself({ code }: FanfareError, about: unknown): boolean {
  const { close } = errorEntry(code)
  return close === undefined || (close >= 4400 && Object.keys(numbersIn(about)).length > 0)
}

const ABOUT = ['seq', 'sub', 'offset', 'consumer', 'delivery', 'request'] as const

/** An error frame with the numbers of the request that it refuses. */
export function errorFrame({ code, message, retry }: FanfareError, about?: unknown): ErrorFrame {
  return { type: 'error', code, message, retry, ...numbersIn(about) }
}

function numbersIn(value: unknown): Partial<Record<(typeof ABOUT)[number], number>> {
  const numbers: Partial<Record<(typeof ABOUT)[number], number>> = {}
  if (typeof value !== 'object' || value === null) return numbers
  for (const name of ABOUT) {
    const number = (value as Record<string, unknown>)[name]
    if (Number.isSafeInteger(number) && (number as number) >= 0) numbers[name] = number as number
  }
  return numbers
}

/** The queue or stream that a frame names; undefined if it names none. The frame may be anything: errors come before checks, too. */
export function nameIn(about: unknown): string | undefined {
  if (typeof about !== 'object' || about === null) return undefined
  const { type, queue, topic, stream } = about as Readonly<Record<string, unknown>>
  const name = type === 'publish' ? queueOf(topic) : type === 'consume' ? queue : stream
  return typeof name === 'string' ? name : undefined
}

function queueOf(topic: unknown): string | undefined {
  return typeof topic === 'string' && topic.startsWith(QUEUE_TOPIC) ? topic.slice(QUEUE_TOPIC.length) : undefined
}
