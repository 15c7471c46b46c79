import { sentence } from '../../shared/error-text.ts'
import type { QueueRates } from '../../shared/queues.ts'
import type { ConnectionInfo, HubInfo, Trouble } from '../../shared/sys.ts'
import type { QueueState } from '../broker/broker.ts'
import type { QueueFigures } from '../queue/queues.ts'
import { LAGS_MS, LATELY_MS, SEVERITY } from '../registry/severity.ts'
import { count, counted, duration, percent, rate, size } from './words.ts'

/** A queue is nearly full above this part of its limits; the second is that of the outboxes. */
const NEARLY_FULL = 0.9
const OUTBOXES_FULL = 0.8
/** An event loop delay above this means that there is more work than one core can do, in milliseconds. */
const LATE_MS = 100
/** Maximum number of subscriptions named in a sentence about a connection. */
const NAMED_SUBSCRIPTIONS = 2

/** What the troubles of a queue depend on. */
interface QueueCondition extends Pick<QueueFigures, 'rates' | 'consumers'> {
  readonly state: Pick<
    QueueState,
    'options' | 'depth' | 'inFlight' | 'ready' | 'bytes' | 'deadLetters' | 'parkedCount' | 'oldestReadyAt'
  >
}

/** What stops a hub from doing its work. */
interface HubFaults {
  /** Why the hub cannot store anything until it is restarted. */
  readonly storageFailure: string | undefined
  readonly isCutOff: boolean
  /** Why the hub cannot use the broker now. */
  readonly brokerCutOff: string | undefined
}

/** What is wrong with the hub as a whole, the worst first. */
export function hubTroubles(hub: HubInfo, { storageFailure, isCutOff, brokerCutOff }: HubFaults): Trouble[] {
  const { droppedPerSecond, outboxBytes, outboxTotalBytes, eventLoopDelayMs, unexpectedErrorsTotal } = hub
  const troubles: Trouble[] = []
  if (storageFailure !== undefined) {
    const text = `cannot store anything until it is restarted: ${storageFailure}`
    troubles.push({ level: 'problem', kind: 'storage-failed', text })
  }
  if (isCutOff) {
    const text = `is cut off from the other hubs of its cluster: "${hub.node.name}" serves only its own clients until Redis is back.`
    troubles.push({ level: 'problem', kind: 'cut-off', text })
  }
  if (brokerCutOff !== undefined) {
    const text = `cannot use the Redis that keeps its streams and queues: ${sentence(brokerCutOff)}`
    troubles.push({ level: 'problem', kind: 'storage-failed', text })
  }
  if (droppedPerSecond > 0) {
    const text = `drops ${rate(droppedPerSecond)} messages per second for subscribers that are too slow.`
    troubles.push({ level: 'problem', kind: 'dropping', text })
  }
  if (outboxBytes > outboxTotalBytes * OUTBOXES_FULL) {
    const text = `holds ${size(outboxBytes)} in its outboxes, ${percent(outboxBytes / outboxTotalBytes)} of the maximum.`
    troubles.push({ level: 'problem', kind: 'outboxes-full', text })
  }
  if (eventLoopDelayMs > LATE_MS) {
    const text = `has an event loop delay of ${duration(eventLoopDelayMs)}: it has more work than one core can do.`
    troubles.push({ level: 'problem', kind: 'event-loop-late', text })
  }
  if (unexpectedErrorsTotal > 0) {
    const text = `has had ${counted(unexpectedErrorsTotal, 'unexpected error')} since it started. The log has each with its stack.`
    troubles.push({ level: 'warning', kind: 'unexpected-errors', text })
  }
  return troubles
}

/** The severity of a queue without composing texts, since there may be very many queues. */
export function queueSeverity(queue: QueueFigures): number {
  const { state, rates, consumers } = queue
  if (rates.growing || isNearlyFull(state)) return SEVERITY.problem
  const waits = state.ready > 0 && consumers === 0
  return waits || state.deadLetters > 0 || state.parkedCount > 0 ? SEVERITY.warning : 0
}

/** What is wrong with a queue, the worst first. Only due messages count: delayed messages and parked groups do not need a consumer. */
export function queueTroubles({ state, rates, consumers }: QueueCondition, now: number): Trouble[] {
  const { ready, deadLetters, parkedCount, oldestReadyAt } = state
  const troubles: Trouble[] = []
  if (rates.growing) {
    const speed = `${rate(rates.publishedPerSecond)} messages per second are published and ${rate(rates.ackedPerSecond)} acked`
    const text = `keeps growing: ${count(ready)} ready, ${speed}; ${consumerText(consumers, rates)}.`
    troubles.push({ level: 'problem', kind: 'growing', text })
  }
  if (isNearlyFull(state)) troubles.push({ level: 'problem', kind: 'nearly-full', text: fullText(state) })
  if (ready > 0 && consumers === 0 && !rates.growing) {
    const age = oldestReadyAt === undefined ? '' : `, oldest for ${duration(Math.max(0, now - oldestReadyAt))}`
    const text = `has no consumer: ${counted(ready, 'message')} ${ready === 1 ? 'is' : 'are'} ready${age}.`
    troubles.push({ level: 'warning', kind: 'no-consumer', text })
  }
  if (deadLetters > 0) {
    troubles.push({ level: 'warning', kind: 'dead-letters', text: `has ${counted(deadLetters, 'dead letter')}.` })
  }
  if (parkedCount > 0) {
    const text = `has ${counted(parkedCount, 'parked group')}: ${parkedCount === 1 ? 'it waits' : 'they wait'} until an operator resumes ${parkedCount === 1 ? 'it' : 'them'}.`
    troubles.push({ level: 'warning', kind: 'parked', text })
  }
  return troubles
}

function consumerText(consumers: number, { keepUpConsumers }: QueueRates): string {
  if (consumers === 0) return 'it has no consumer'
  if (keepUpConsumers <= consumers) return `it has ${counted(consumers, 'consumer')}`
  return `it has ${counted(consumers, 'consumer')} and needs ${count(keepUpConsumers)} to keep up`
}

function isNearlyFull({ depth, inFlight, bytes, options }: QueueCondition['state']): boolean {
  return depth + inFlight > options.maxMessages * NEARLY_FULL || bytes > options.maxBytes * NEARLY_FULL
}

const WHEN_FULL = {
  reject: 'further publishes are refused',
  'drop-oldest': 'the oldest messages are dropped',
  'dead-letter': 'the oldest messages become dead letters',
  block: 'publishers wait',
} as const

function fullText({ depth, inFlight, bytes, options }: QueueCondition['state']): string {
  const { maxMessages, maxBytes, overflow } = options
  const held = `${count(depth + inFlight)} of ${counted(maxMessages, 'message')}, ${size(bytes)} of ${size(maxBytes)}`
  return `is nearly full: ${held}. When it is full, ${WHEN_FULL[overflow]}.`
}

/** What is wrong with a connection, the worst first. */
export function connectionTroubles(info: ConnectionInfo, now: number): Trouble[] {
  const { lagMs, outboxBytes, outboxLimitBytes, droppedAt, droppedTotal } = info
  const troubles: Trouble[] = []
  if (droppedAt !== undefined && now - droppedAt < LATELY_MS) {
    const ago = `the last ${duration(Math.max(0, now - droppedAt))} ago`
    const text = `is losing messages: ${counted(droppedTotal, 'message')} dropped so far, ${ago}${lossesText(info)}.`
    troubles.push({ level: 'problem', kind: 'losing', text })
  }
  if (lagMs >= LAGS_MS || outboxBytes > outboxLimitBytes / 2) {
    const since = lagMs > 0 ? `, non-empty for ${duration(lagMs)}` : ''
    const text = `is slow: its outbox holds ${size(outboxBytes)} of ${size(outboxLimitBytes)}${since}.`
    troubles.push({ level: 'warning', kind: 'slow', text })
  }
  return troubles
}

/** The subscriptions that lost messages, and their policies. */
function lossesText({ subscriptions }: ConnectionInfo): string {
  const losing = subscriptions.filter(({ droppedTotal }) => droppedTotal > 0)
  losing.sort((a, b) => b.droppedTotal - a.droppedTotal)
  const named = losing
    .slice(0, NAMED_SUBSCRIPTIONS)
    .map(({ pattern, policy, droppedTotal }) => `${count(droppedTotal)} of ${pattern} (policy ${policy})`)
  const more = losing.length - named.length
  if (more > 0) named.push(`more of ${counted(more, 'other subscription')}`)
  return named.length > 0 ? `: ${named.join(', ')}` : ''
}
