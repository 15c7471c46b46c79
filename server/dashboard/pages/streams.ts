import { html, type TemplateResult } from 'lit/html.js'
import { STREAM_SORTS, type StreamRow, type StreamStatus, type StreamsFound } from '../../../shared/sys.ts'
import { bytes, count, counted, duration, rate } from '../format.ts'
import { hubNow } from '../hub.ts'
import { HubList } from '../hub-list.ts'
import type { OpenPage } from '../page.ts'
import { heading } from '../parts.ts'
import { seenOnly } from '../rights.ts'
import { href } from '../route.ts'
import { sparkline } from '../sparkline.ts'
import { listing } from '../table.ts'
import { whoami } from '../who.ts'

export const openStreams: OpenPage = (route) => {
  const list = new HubList<StreamRow, StreamsFound>(route, {
    method: 'streams.find',
    rows: ({ streams }) => streams,
    keyOf: ({ name }) => name,
    sorts: STREAM_SORTS,
    sort: 'name',
    history: true,
  })
  return { title: 'Streams', view: () => streams(list), close: () => list.close() }
}

function streams(list: HubList<StreamRow, StreamsFound>): TemplateResult {
  const total = list.answer === undefined ? '' : counted(list.answer.count, 'stream')
  return html`${heading('Streams', html`<p class="quiet">${total}</p>`)} ${listing(list, {
    label: 'Streams',
    filter: 'Filter by name or topic',
    noneTitle: 'No streams',
    noneSeen: seenOnly('streams', whoami()),
    none: html`A stream stores the messages of its topics so that they can be read again. Declare one: <code>fanfare streams declare photos 'photos.#'</code>`,
    noMatch: 'No stream matches the filter',
    head: (cell) => html`
      ${cell('name', 'Stream', 'text')}<th scope="col" class="text wide">Topics</th>${cell('publishedPerSecond', 'In/s')}<th scope="col" class="text wide spark">Last 5 min</th>
      ${cell('messages', 'Messages')}${cell('bytes', 'Bytes')}<th scope="col" class="number wide">Oldest</th><th scope="col" class="text wide">Retention</th>`,
    cells,
  })}`
}

function cells(info: StreamRow): TemplateResult {
  const { name, topics, publishedPerSecond, oldestAt } = info
  return html`<th scope="row"><a class="name" href=${href(['streams', name])}>${name}</a></th>
    <td class="wide name">${topics.join(', ')}</td>
    <td class="number">${rate(publishedPerSecond)}</td>
    <td class="wide spark">${sparkline(info.history)}</td>
    <td class="number">${count(info.messages)}</td>
    <td class="number">${bytes(info.bytes)}</td>
    <td class="number wide">${oldestAt === undefined ? '–' : duration(hubNow() - oldestAt)}</td>
    <td class="wide">${retention(info)}</td>`
}

/** A stream's retention as text. */
export function retention({ maxAgeMs, maxBytes, maxMessages, lastValue }: StreamStatus): string {
  const parts = [duration(maxAgeMs), bytes(maxBytes)]
  if (maxMessages !== undefined) parts.push(counted(maxMessages, 'message'))
  return `${parts.join(', ')}${lastValue ? ', only the newest per topic and key' : ''}`
}
