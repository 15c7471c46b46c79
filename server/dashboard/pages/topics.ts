import { html, type TemplateResult } from 'lit/html.js'
import { QUEUE_TOPIC } from '../../../shared/queues.ts'
import type { TopicInfo, TopicsStatus } from '../../../shared/sys.ts'
import { count, counted, rate } from '../format.ts'
import { model } from '../hub.ts'
import type { OpenPage } from '../page.ts'
import { bar, empty, heading } from '../parts.ts'
import { poll } from '../poll.ts'
import { href, type Route } from '../route.ts'
import { filtered, filterField, MOST_ROWS, moreRows, type SortKeys, sorted, sortHead } from '../table.ts'

/** What is looked through for a filter: the busiest of them. */
const SEARCHED = 1000

const KEYS: SortKeys<TopicInfo> = {
  rate: ({ publishedPerSecond }) => publishedPerSecond,
  topic: ({ topic }) => topic,
  total: ({ publishedTotal }) => publishedTotal,
}

export const openTopics: OpenPage = (route) => {
  const searched = poll<TopicsStatus>('topics.list', { limit: SEARCHED })
  return { title: 'Topics', view: () => topics(route, searched.value ?? model.topics), close: () => searched.stop() }
}

function topics(route: Route, status: TopicsStatus | undefined): TemplateResult {
  const all = status?.busiest ?? []
  const total = status?.count ?? 0
  const found = sorted(
    filtered(all, route, ({ topic }) => topic),
    KEYS,
    route,
    'rate',
  )
  const rows = found.slice(0, MOST_ROWS)
  const most = rows.reduce((most, { publishedPerSecond }) => Math.max(most, publishedPerSecond), 0)
  const head = (key: string, label: string, kind?: string) => sortHead(route, KEYS, 'rate', key, label, kind)
  return html`${heading('Topics', html`<p class="quiet">${counted(total, 'topic')} had messages lately</p>`)}
    ${filterField(route, 'Filter topics')}
    ${
      rows.length === 0
        ? all.length === 0
          ? empty(
              'No topic has had a message yet',
              html`A topic exists once something is published to it. <a href=${href(['publish'])}>Publish something</a>.`,
            )
          : empty('No topic has that in its name', 'Try another filter.')
        : html`<div class="panel table"><table>
          <thead><tr>${head('topic', 'Topic', 'text')}${head('rate', 'In/s', 'number')}<th class="bar wide"></th>${head('total', 'In all', 'number')}<th class="action"></th></tr></thead>
          <tbody>${rows.map(
            ({ topic, publishedPerSecond, publishedTotal }) => html`<tr>
              <th scope="row" class="name">${topic}</th>
              <td class="number">${rate(publishedPerSecond)}</td>
              <td class="bar wide">${bar(publishedPerSecond, most)}</td>
              <td class="number">${count(publishedTotal)}</td>
              <td class="action">${action(topic)}</td>
            </tr>`,
          )}</tbody></table></div>
          ${moreRows(Math.max(found.length, route.query.get('filter') ? 0 : total), rows.length)}`
    }`
}

/** What is published straight to a queue reaches no subscription. */
function action(topic: string): TemplateResult {
  if (!topic.startsWith(QUEUE_TOPIC)) {
    return html`<a href=${href(['tail'], { pattern: topic })} aria-label="Tail ${topic}">Tail</a>`
  }
  const queue = topic.slice(QUEUE_TOPIC.length)
  return html`<a href=${href(['queues', queue])} aria-label="Queue ${queue}">Queue</a>`
}
