import { html, type TemplateResult } from 'lit/html.js'
import { QUEUE_SORTS, type QueueInfo, type QueueRow, type QueuesFound } from '../../../shared/queues.ts'
import { count, counted, duration, rate } from '../format.ts'
import { HubList } from '../hub-list.ts'
import type { OpenPage } from '../page.ts'
import { heading } from '../parts.ts'
import { seenOnly } from '../rights.ts'
import { href } from '../route.ts'
import { sparkline } from '../sparkline.ts'
import { listing } from '../table.ts'
import { whoami } from '../who.ts'

export const openQueues: OpenPage = (route) => {
  const list = new HubList<QueueRow, QueuesFound>(route, {
    method: 'queues.find',
    rows: ({ queues }) => queues,
    keyOf: ({ name }) => name,
    sorts: QUEUE_SORTS,
    sort: 'trouble',
    history: true,
  })
  return { title: 'Queues', view: () => queues(list), close: () => list.close() }
}

function queues(list: HubList<QueueRow, QueuesFound>): TemplateResult {
  const total = list.answer === undefined ? '' : counted(list.answer.count, 'queue')
  return html`${heading('Queues', html`<p class="quiet">${total}</p>`)} ${listing(list, {
    label: 'Queues',
    filter: 'Filter by name or binding',
    noneTitle: 'No queues',
    noneSeen: seenOnly('queues', whoami()),
    none: html`A queue stores each message until one consumer has handled it. Declare one: <code>fanfare queues declare scans 'scans.#'</code>`,
    noMatch: 'No queue matches the filter',
    head: (cell) => html`
      ${cell('name', 'Queue', 'text')}${cell('ready', 'Ready')}<th scope="col" class="text wide spark">Last 5 min</th>
      ${cell('inFlight', 'Unacked', 'number wide')}${cell('readyAgeMs', 'Oldest')}${cell('publishedPerSecond', 'In/s', 'number wide')}${cell('ackedPerSecond', 'Acked/s', 'number wide')}
      ${cell('consumers', 'Consumers', 'number wide')}${cell('deadLetters', 'Dead letters', 'number letters')}`,
    cells,
  })}`
}

function cells(info: QueueRow): TemplateResult {
  const { name, ready, inFlight, readyAgeMs, publishedPerSecond, ackedPerSecond, growing, deadLetters } = info
  const parked = info.parked.length + info.parkedMore
  return html`<th scope="row"><a class="name" href=${href(['queues', name])}>${name}</a>${growing ? html` <span class="tag bad">growing</span>` : ''}${parked > 0 ? html` <span class="tag warn">${counted(parked, 'parked group')}</span>` : ''}</th>
    <td class="number">${count(ready)}</td>
    <td class="wide spark">${sparkline(info.history)}</td>
    <td class="number wide">${count(inFlight)}</td>
    <td class="number">${readyAgeMs > 0 ? duration(readyAgeMs) : '–'}</td>
    <td class="number wide">${rate(publishedPerSecond)}</td>
    <td class="number wide">${rate(ackedPerSecond)}</td>
    <td class="number wide">${consumersText(info)}</td>
    <td class="number">${deadLetters > 0 ? html`<a class="warn" href=${href(['queues', name, 'dead-letters'])} aria-label="${counted(deadLetters, 'dead letter')} of ${name}">${count(deadLetters)}</a>` : '0'}</td>`
}

/** The number of consumers, and how many are needed to keep up. */
function consumersText({ ready, consumers, keepUpConsumers }: QueueInfo): string | TemplateResult {
  const needed = Math.max(keepUpConsumers, ready > 0 ? 1 : 0)
  if (needed <= consumers) return count(consumers)
  return html`<span class="warn">${count(consumers)} of ${count(needed)}</span>`
}
