import type { JsonMessage } from '../../shared/json-message.ts'
import type { Binding, DeadLetter, QueueInfo, QueueOptions } from '../../shared/queues.ts'
import { queueTroubles } from '../monitor/trouble.ts'
import { jsonLine } from './data.ts'
import { ago, columns, count, duration, rate, size } from './table.ts'

/** What can be changed of a queue. */
export const QUEUE_OPTIONS = [
  'bindings',
  'ackDeadlineMs',
  'maxAttempts',
  'backoffBaseMs',
  'backoffCapMs',
  'maxMessages',
  'maxBytes',
  'overflow',
  'onExpiry',
  'onDeadLetter',
  'maxDeadLetters',
] as const satisfies readonly (keyof QueueOptions)[]

const COLUMNS = [
  'name',
  'bindings',
  'waiting',
  'in flight',
  'oldest',
  'in',
  'out',
  'consumers',
  'dead letters',
  'warnings',
]

/** Queues as a table for people; the last column has warnings. */
export function queueTable(queues: readonly QueueInfo[]): string {
  const rows = queues.map((queue) => [
    queue.name,
    queue.bindings.map(({ topic }) => topic).join(' '),
    waiting(queue),
    count(queue.inFlight),
    oldest(queue),
    rate(queue.publishedPerSecond),
    rate(queue.ackedPerSecond),
    consumers(queue),
    count(queue.deadLetters),
    warnings(queue).join('; '),
  ])
  return columns([COLUMNS, ...rows])
}

/** One queue as text: one line per property, binding and parked group. */
export function queueDetails(queue: QueueInfo): string {
  const { maxAttempts, backoffBaseMs, backoffCapMs, maxMessages, maxBytes, maxDeadLetters } = queue
  const group = queue.onDeadLetter === 'park' ? 'is parked' : 'continues'
  return columns([
    ['name', queue.name],
    ...queue.bindings.map((binding) => ['binding', bindingText(binding)]),
    ['waiting', waiting(queue)],
    ['in flight', count(queue.inFlight)],
    ['oldest', oldest(queue)],
    ['size', size(queue.bytes)],
    ['in', `${rate(queue.publishedPerSecond)}, ${count(queue.publishedTotal)} since the hub started`],
    ['out', `${rate(queue.ackedPerSecond)}, ${count(queue.ackedTotal)} since the hub started`],
    ['redelivered', `${count(queue.redeliveredTotal)} since the hub started, ${count(queue.timedOutTotal)} timed out`],
    ['dropped', `${count(queue.droppedTotal)} since the hub started`],
    ['consumers', consumers(queue)],
    ['ack deadline', duration(queue.ackDeadlineMs)],
    ['attempts', `${count(maxAttempts)}, with ${duration(backoffBaseMs)} to ${duration(backoffCapMs)} between them`],
    ['limits', `${count(maxMessages)} messages, ${size(maxBytes)}; overflow: ${queue.overflow}`],
    ['on expiry', queue.onExpiry],
    ['dead letters', `${count(queue.deadLetters)} of at most ${count(maxDeadLetters)}; their group ${group}`],
    ...(queue.deadLettersDroppedTotal > 0
      ? [['', `${count(queue.deadLettersDroppedTotal)} more were dropped since the hub started`]]
      : []),
    ...queue.parked.map((key) => ['parked', key]),
    ...(queue.parkedMore > 0 ? [['parked', `${count(queue.parkedMore)} more`]] : []),
    ...warnings(queue).map((warning) => ['warning', warning]),
  ])
}

const LETTER_COLUMNS = ['letter', 'died', 'reason', 'attempts', 'topic', 'key', 'data', 'error']
/** Maximum length of a cell with a message's data or an error, in characters. */
const CELL = 50

/** Dead letters as a table for people; long values are cut off. */
export function letterTable(letters: readonly DeadLetter[], now: number): string {
  const rows = letters.map(({ letter, diedAt, reason, attempts, message, error }) => [
    String(letter),
    ago(diedAt, now),
    reason,
    count(attempts),
    message.topic,
    message.key ?? '',
    cut(payloadText(message)),
    cut(error ?? ''),
  ])
  return columns([LETTER_COLUMNS, ...rows])
}

function payloadText({ data, json = '', base64 }: JsonMessage): string {
  if (base64 !== undefined) return `bytes ${base64}`
  return data === undefined ? json : jsonLine(data)
}

function waiting({ depth, ready }: QueueInfo): string {
  return ready < depth ? `${count(depth)}, ${count(ready)} ready` : count(depth)
}

function oldest({ oldestAgeMs }: QueueInfo): string {
  return oldestAgeMs > 0 ? `${duration(oldestAgeMs)} ago` : ''
}

function consumers({ consumers, wantedConsumers }: QueueInfo): string {
  return wantedConsumers > consumers ? `${count(consumers)}, ${count(wantedConsumers)} wanted` : count(consumers)
}

/** The same that `fanfare hub` says of it. */
function warnings(queue: QueueInfo): string[] {
  const { parked, parkedMore, readyAgeMs, consumers } = queue
  const oldestReadyAt = readyAgeMs > 0 ? -readyAgeMs : undefined
  const state = { ...queue, options: queue, parkedCount: parked.length + parkedMore, oldestReadyAt }
  return queueTroubles({ state, rates: queue, consumers }, 0).map(({ text }) => text.replace(/\.$/, ''))
}

function bindingText({ topic, match }: Binding): string {
  if (!match) return topic
  const [headers, word] = 'all' in match ? [match.all, ' and '] : [match.any, ' or ']
  const wanted = Object.entries(headers).map(([name, value]) => `${name}=${value}`)
  return `${topic} where ${wanted.join(word)}`
}

/** The first line, cut to the maximum length. */
function cut(text: string): string {
  const [line = ''] = text.split('\n')
  return line.length > CELL ? `${line.slice(0, CELL - 1)}…` : line
}
