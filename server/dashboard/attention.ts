import type { QueueInfo } from '../../shared/queues.ts'
import { bytes, count, counted, duration, percent, rate } from './format.ts'
import type { Model } from './model.ts'
import { href } from './route.ts'
import { health, whySlow } from './slow.ts'

/** Something that somebody should look at. */
export interface Attention {
  readonly level: 'bad' | 'warn'
  /** Who or what. */
  readonly subject: string
  readonly text: string
  readonly href: string
}

/** Of one kind so many are told one by one. */
const EACH_KIND = 3

/** What needs attention, in words, the worst kinds first. */
export function attention(model: Model): Attention[] {
  const queues = [...model.queues.values()].map(({ info }) => info)
  return [
    ...theHub(model),
    ...kind(
      queues.filter(({ growing }) => growing).sort(deepest),
      (queue) => ({ level: 'bad', subject: queue.name, text: growingText(queue), href: href(['queues', queue.name]) }),
      (rest) => ({ level: 'bad', subject: counted(rest, 'more queue'), text: 'only grow.', href: href(['queues']) }),
    ),
    ...kind(
      queues.filter(isFull),
      (queue) => ({ level: 'bad', subject: queue.name, text: fullText(queue), href: href(['queues', queue.name]) }),
      (rest) => ({ level: 'bad', subject: counted(rest, 'more queue'), text: 'nearly full.', href: href(['queues']) }),
    ),
    ...kind(
      queues.filter((queue) => queue.depth > 0 && queue.consumers === 0 && !queue.growing).sort(deepest),
      (queue) => ({
        level: 'warn',
        subject: queue.name,
        text: `nobody consumes it; ${count(queue.depth)} wait, the oldest for ${duration(queue.oldestAgeMs)}.`,
        href: href(['queues', queue.name]),
      }),
      (rest) => ({
        level: 'warn',
        subject: counted(rest, 'more queue'),
        text: 'with messages and no consumer.',
        href: href(['queues'], { sort: 'depth' }),
      }),
    ),
    ...kind(
      queues.filter(({ deadLetters }) => deadLetters > 0).sort((a, b) => b.deadLetters - a.deadLetters),
      (queue) => ({
        level: 'warn',
        subject: queue.name,
        text: `has ${counted(queue.deadLetters, 'dead letter')}.`,
        href: href(['queues', queue.name, 'dead-letters']),
      }),
      (rest) => ({
        level: 'warn',
        subject: counted(rest, 'more queue'),
        text: 'with dead letters.',
        href: href(['queues'], { sort: 'dead' }),
      }),
    ),
    ...kind(
      queues.filter(({ parked }) => parked.length > 0),
      (queue) => ({
        level: 'warn',
        subject: queue.name,
        text: `has ${counted(queue.parked.length + queue.parkedMore, 'parked group')}, waiting for somebody to let ${queue.parked.length === 1 ? 'it' : 'them'} go on.`,
        href: href(['queues', queue.name]),
      }),
      (rest) => ({
        level: 'warn',
        subject: counted(rest, 'more queue'),
        text: 'with parked groups.',
        href: href(['queues']),
      }),
    ),
    ...kind(
      (model.connections?.slowest ?? []).filter((info) => health(info) !== 'well' && info.lagMs > 0),
      (info) => ({
        level: 'warn',
        subject: info.client ?? info.connection,
        text: `${whySlow(info)}.`,
        href: href(['connections', info.connection]),
      }),
      (rest) => ({
        level: 'warn',
        subject: counted(rest, 'more connection'),
        text: 'too slow.',
        href: href(['connections']),
      }),
    ),
  ]
}

function theHub({ hub }: Model): Attention[] {
  if (!hub) return []
  const found: Attention[] = []
  if (hub.droppedPerSecond > 0) {
    found.push({
      level: 'bad',
      subject: 'Drops',
      text: `${rate(hub.droppedPerSecond)} messages a second are left out for connections that are too slow.`,
      href: href(['connections']),
    })
  }
  if (hub.outboxBytes > hub.outboxTotalBytes * 0.8) {
    found.push({
      level: 'bad',
      subject: 'Outboxes',
      text: `hold ${bytes(hub.outboxBytes)}, ${percent(hub.outboxBytes / hub.outboxTotalBytes)} of all that they may.`,
      href: href(['connections']),
    })
  }
  if (hub.eventLoopDelayMs > 100) {
    found.push({
      level: 'bad',
      subject: 'Event loop',
      text: `late by ${duration(hub.eventLoopDelayMs)}: the hub has more to do than its core can.`,
      href: href(['topics']),
    })
  }
  return found
}

function kind<Info>(
  all: readonly Info[],
  each: (info: Info) => Attention,
  others: (rest: number) => Attention,
): Attention[] {
  const told = all.slice(0, all.length === EACH_KIND + 1 ? EACH_KIND + 1 : EACH_KIND)
  return [...told.map(each), ...(all.length > told.length ? [others(all.length - told.length)] : [])]
}

function growingText({ depth, publishedPerSecond, ackedPerSecond, consumers, wantedConsumers }: QueueInfo): string {
  const speed = `${rate(publishedPerSecond)}/s come in and ${rate(ackedPerSecond)}/s are done`
  const wants =
    consumers === 0 ? 'nobody consumes it' : `${counted(consumers, 'consumer')} of ${count(wantedConsumers)} wanted`
  return `only grows: ${count(depth)} wait, ${speed}; ${wants}.`
}

function isFull({ depth, inFlight, bytes, maxMessages, maxBytes }: QueueInfo): boolean {
  return depth + inFlight > maxMessages * 0.9 || bytes > maxBytes * 0.9
}

function fullText({ depth, inFlight, bytes: held, maxMessages, maxBytes, overflow }: QueueInfo): string {
  const messages = `${count(depth + inFlight)} of ${count(maxMessages)} messages`
  return `nearly full: ${messages}, ${bytes(held)} of ${bytes(maxBytes)}; beyond that ${overflow}.`
}

function deepest(a: QueueInfo, b: QueueInfo): number {
  return b.depth - a.depth
}
