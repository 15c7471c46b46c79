import { html, type TemplateResult } from 'lit/html.js'
import type { QueueInfo } from '../../../shared/queues.ts'
import { count, counted, duration, rate } from '../format.ts'
import { model } from '../hub.ts'
import { DEPTH, type Watched } from '../model.ts'
import type { OpenPage } from '../page.ts'
import { empty, heading } from '../parts.ts'
import { seenOnly } from '../rights.ts'
import { href, type Route } from '../route.ts'
import { sparkline } from '../sparkline.ts'
import { listing, type SortKeys } from '../table.ts'
import { whoami } from '../who.ts'

type Row = Watched<QueueInfo>

const KEYS: SortKeys<Row> = {
  name: ({ info }) => info.name,
  depth: ({ info }) => info.depth,
  flight: ({ info }) => info.inFlight,
  age: ({ info }) => info.oldestAgeMs,
  in: ({ info }) => info.publishedPerSecond,
  done: ({ info }) => info.ackedPerSecond,
  consumers: ({ info }) => info.consumers,
  dead: ({ info }) => info.deadLetters,
}

export const openQueues: OpenPage = (route) => ({ title: 'Queues', view: () => queues(route) })

function queues(route: Route): TemplateResult {
  const all = [...model.queues.values()]
  const title = heading('Queues', html`<p class="quiet">${counted(all.length, 'queue')}</p>`)
  const some = seenOnly('queues', whoami())
  if (all.length === 0 && some !== undefined) return html`${title}${empty('There is no queue that you can see', some)}`
  if (all.length === 0) {
    return html`${title}${empty('There is no queue', html`A queue keeps messages until one consumer each is done with them. Declare one: <code>fanfare queues declare scans 'scans.#'</code>`)}`
  }
  const text = ({ info: { name, bindings } }: Row) => [name, ...bindings.map(({ topic }) => topic)].join(' ')
  return html`${title} ${listing(all, route, {
    keys: KEYS,
    first: 'name',
    text,
    filter: 'Filter by name or binding',
    noMatch: 'No queue has that in its name or bindings',
    head: (cell) => html`
      ${cell('name', 'Queue', 'text')}${cell('depth', 'Waiting')}<th scope="col" class="text wide spark">Last 5 min</th>
      ${cell('flight', 'In flight', 'number wide')}${cell('age', 'Oldest')}${cell('in', 'In/s', 'number wide')}${cell('done', 'Done/s', 'number wide')}
      ${cell('consumers', 'Consumers', 'number wide')}${cell('dead', 'Dead')}`,
    row,
  })}`
}

function row({ info, history }: Row): TemplateResult {
  const { name, depth, inFlight, oldestAgeMs, publishedPerSecond, ackedPerSecond, growing, parked, deadLetters } = info
  return html`<tr>
    <th scope="row"><a class="name" href=${href(['queues', name])}>${name}</a>${growing ? html` <span class="tag bad">only grows</span>` : ''}${parked.length > 0 ? html` <span class="tag warn">parked</span>` : ''}</th>
    <td class="number">${count(depth)}</td>
    <td class="wide spark">${sparkline(history, DEPTH)}</td>
    <td class="number wide">${count(inFlight)}</td>
    <td class="number">${oldestAgeMs > 0 ? duration(oldestAgeMs) : '–'}</td>
    <td class="number wide">${rate(publishedPerSecond)}</td>
    <td class="number wide">${rate(ackedPerSecond)}</td>
    <td class="number wide">${consumersText(info)}</td>
    <td class="number">${deadLetters > 0 ? html`<a class="warn" href=${href(['queues', name, 'dead-letters'])} aria-label="${counted(deadLetters, 'dead letter')} of ${name}">${count(deadLetters)}</a>` : '0'}</td>
  </tr>`
}

/** Those there are, of those that would keep up. */
function consumersText({ consumers, wantedConsumers }: QueueInfo): string | TemplateResult {
  if (wantedConsumers <= consumers) return count(consumers)
  return html`<span class="warn">${count(consumers)} of ${count(wantedConsumers)}</span>`
}
