import { html, type TemplateResult } from 'lit/html.js'
import type { StreamStatus } from '../../../shared/sys.ts'
import { bytes, count, counted, duration, rate } from '../format.ts'
import { model } from '../hub.ts'
import type { OpenPage } from '../page.ts'
import { empty, heading } from '../parts.ts'
import { seenOnly } from '../rights.ts'
import { href, type Route } from '../route.ts'
import { listing, type SortKeys } from '../table.ts'
import { whoami } from '../who.ts'

const KEYS: SortKeys<StreamStatus> = {
  name: ({ name }) => name,
  rate: ({ publishedPerSecond }) => publishedPerSecond,
  messages: ({ first, next }) => next - first,
  bytes: ({ bytes }) => bytes,
  age: ({ oldestAt = Date.now() }) => Date.now() - oldestAt,
}

export const openStreams: OpenPage = (route) => ({ title: 'Streams', view: () => streams(route) })

function streams(route: Route): TemplateResult {
  const all = [...model.streams.values()].map(({ info }) => info)
  const title = heading('Streams', html`<p class="quiet">${counted(all.length, 'stream')}</p>`)
  const some = seenOnly('streams', whoami())
  if (all.length === 0 && some !== undefined) return html`${title}${empty('There is no stream that you can see', some)}`
  if (all.length === 0) {
    return html`${title}${empty('There is no stream', html`A stream keeps the messages of its topics, to be read again. Declare one: <code>fanfare streams declare photos 'photos.#'</code>`)}`
  }
  return html`${title} ${listing(all, route, {
    keys: KEYS,
    first: 'name',
    text: ({ name, topics }) => [name, ...topics].join(' '),
    filter: 'Filter streams',
    noMatch: 'No stream has that in its name or topics',
    head: (cell) => html`
      ${cell('name', 'Stream', 'text')}<th scope="col" class="text wide">Topics</th>${cell('rate', 'In/s')}${cell('messages', 'Offsets')}
      ${cell('bytes', 'Bytes')}${cell('age', 'Oldest', 'number wide')}<th scope="col" class="text wide">Keeps</th>`,
    row,
  })}`
}

function row(info: StreamStatus): TemplateResult {
  const { name, topics, publishedPerSecond, first, next, oldestAt } = info
  return html`<tr>
    <th scope="row"><a class="name" href=${href(['streams', name])}>${name}</a></th>
    <td class="wide name">${topics.join(', ')}</td>
    <td class="number">${rate(publishedPerSecond)}</td>
    <td class="number">${count(next - first)}</td>
    <td class="number">${bytes(info.bytes)}</td>
    <td class="number wide">${oldestAt === undefined ? '–' : duration(Date.now() - oldestAt)}</td>
    <td class="wide">${retention(info)}</td>
  </tr>`
}

/** What a stream keeps, in words. */
export function retention({ maxAgeMs, maxBytes, maxMessages, lastValue }: StreamStatus): string {
  const parts = [duration(maxAgeMs), bytes(maxBytes)]
  if (maxMessages !== undefined) parts.push(counted(maxMessages, 'message'))
  return `${parts.join(', ')}${lastValue ? ', the newest of each key' : ''}`
}
