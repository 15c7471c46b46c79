import type { JsonMessage } from '../../shared/json-message.ts'
import type { Binding, DeadLetter, QueueInfo } from '../../shared/queues.ts'
import { jsonLine } from './data.ts'
import { ago, columns, count, duration, size } from './table.ts'

const COLUMNS = ['name', 'bindings', 'waiting', 'in flight', 'oldest', 'in', 'out', 'consumers', 'dead letters', 'look']

/** Queues for people to read: a line each; the last column says what wants looking after. */
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

/** One queue for people to read: a line for each thing that is known, each binding and each parked group. */
export function queueDetails(queue: QueueInfo): string {
  const { maxAttempts, backoffBaseMs, backoffCapMs, maxMessages, maxBytes, maxDeadLetters } = queue
  const group = queue.onDeadLetter === 'park' ? 'parks' : 'goes on'
  return columns([
    ['name', queue.name],
    ...queue.bindings.map((binding) => ['binding', bindingText(binding)]),
    ['waiting', waiting(queue)],
    ['in flight', count(queue.inFlight)],
    ['oldest', oldest(queue)],
    ['size', size(queue.bytes)],
    ['in', `${rate(queue.publishedPerSecond)}, ${count(queue.publishedTotal)} since the hub started`],
    ['out', `${rate(queue.ackedPerSecond)}, ${count(queue.ackedTotal)} since the hub started`],
    ['again', `${count(queue.redeliveredTotal)} since the hub started, ${count(queue.timedOutTotal)} ran out of time`],
    ['dropped', `${count(queue.droppedTotal)} since the hub started`],
    ['consumers', consumers(queue)],
    ['time', `${duration(queue.ackDeadlineMs)} for a delivery`],
    ['attempts', `${count(maxAttempts)}, ${duration(backoffBaseMs)} to ${duration(backoffCapMs)} between them`],
    ['bounds', `${count(maxMessages)} messages, ${size(maxBytes)}; then ${queue.overflow}`],
    ['expired', queue.onExpiry],
    ['dead letters', `${count(queue.deadLetters)} of at most ${count(maxDeadLetters)}; their group ${group}`],
    ...(queue.deadLettersDroppedTotal > 0
      ? [['', `${count(queue.deadLettersDroppedTotal)} beyond that were dropped since the hub started`]]
      : []),
    ...queue.parked.map((key) => ['parked', key]),
    ...(queue.parkedMore > 0 ? [['parked', `${count(queue.parkedMore)} more`]] : []),
    ...warnings(queue).map((warning) => ['look', warning]),
  ])
}

const LETTER_COLUMNS = ['letter', 'died', 'reason', 'attempts', 'topic', 'key', 'data', 'error']
/** Longest cell of a message's data and of an error, in characters. */
const CELL = 50

/** Dead letters for people to read: a line each, with the beginnings of what is long. */
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

/** A sentence for people: how many messages, and what has become of them. */
export function counted(done: string): (counts: readonly { readonly count: number }[]) => string {
  return ([first]) => `${count(first?.count ?? 0)} ${first?.count === 1 ? 'message' : 'messages'} ${done}\n`
}

function waiting({ depth, ready }: QueueInfo): string {
  return ready < depth ? `${count(depth)}, ${count(ready)} ready` : count(depth)
}

function oldest({ oldestAgeMs }: QueueInfo): string {
  return oldestAgeMs > 0 ? `${duration(oldestAgeMs)} ago` : ''
}

function rate(perSecond: number): string {
  return `${perSecond.toLocaleString('en', { maximumFractionDigits: perSecond < 10 ? 1 : 0 })}/s`
}

function consumers({ consumers, wantedConsumers }: QueueInfo): string {
  return wantedConsumers > consumers ? `${count(consumers)}, ${count(wantedConsumers)} wanted` : count(consumers)
}

function warnings({ growing, parked, parkedMore }: QueueInfo): string[] {
  const total = parked.length + parkedMore
  const groups = total === 1 ? '1 group is parked' : `${count(total)} groups are parked`
  return [...(growing ? ['it only grows: add consumers'] : []), ...(total > 0 ? [groups] : [])]
}

function bindingText({ topic, match }: Binding): string {
  if (!match) return topic
  const [headers, word] = 'all' in match ? [match.all, ' and '] : [match.any, ' or ']
  const wanted = Object.entries(headers).map(([name, value]) => `${name}=${value}`)
  return `${topic} where ${wanted.join(word)}`
}

/** The beginning of the first line. */
function cut(text: string): string {
  const [line = ''] = text.split('\n')
  return line.length > CELL ? `${line.slice(0, CELL - 1)}…` : line
}
