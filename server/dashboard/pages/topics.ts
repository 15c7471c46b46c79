import { html, type TemplateResult } from 'lit/html.js'
import { QUEUE_TOPIC } from '../../../shared/queues.ts'
import { TOPIC_SORTS, type TopicInfo, type TopicsFound } from '../../../shared/sys.ts'
import { count, counted, rate } from '../format.ts'
import { HubList } from '../hub-list.ts'
import type { OpenPage } from '../page.ts'
import { bar, heading } from '../parts.ts'
import { href } from '../route.ts'
import { listing } from '../table.ts'

export const openTopics: OpenPage = (route) => {
  const list = new HubList<TopicInfo, TopicsFound>(route, {
    method: 'topics.find',
    rows: ({ topics }) => topics,
    keyOf: ({ topic }) => topic,
    sorts: TOPIC_SORTS,
    sort: 'publishedTotal',
  })
  return { title: 'Topics', view: () => topics(list), close: () => list.close() }
}

function topics(list: HubList<TopicInfo, TopicsFound>): TemplateResult {
  const rows = list.answer?.topics ?? []
  const most = Math.max(0, ...rows.map(({ publishedPerSecond }) => publishedPerSecond))
  const total = list.answer === undefined ? '' : `${counted(list.answer.count, 'topic')} published to recently`
  return html`${heading('Topics', html`<p class="quiet">${total}</p>`)} ${listing(list, {
    label: 'Topics',
    filter: 'Filter topics',
    noneTitle: 'No topics yet',
    none: html`A topic exists once a message is published to it. <a href=${href(['publish'])}>Publish one</a>.`,
    noMatch: 'No topic matches the filter',
    head: (cell) => html`${cell('name', 'Topic', 'text')}${cell('publishedPerSecond', 'In/s')}
      <th scope="col" class="bar wide"><span class="hidden">Rate relative to the busiest topic</span></th>
      ${cell('publishedTotal', 'Total')}<th scope="col" class="action"><span class="hidden">Action</span></th>`,
    cells: ({ topic, publishedPerSecond, publishedTotal }) => html`
      <th scope="row" class="name">${topic}</th>
      <td class="number">${rate(publishedPerSecond)}</td>
      <td class="bar wide">${bar(publishedPerSecond, most)}</td>
      <td class="number">${count(publishedTotal)}</td>
      <td class="action">${action(topic)}</td>`,
  })}`
}

/** Messages published directly to a queue reach no subscription. */
function action(topic: string): TemplateResult {
  if (!topic.startsWith(QUEUE_TOPIC)) {
    return html`<a href=${href(['tail'], { pattern: topic })} aria-label="Tail ${topic}">Tail</a>`
  }
  const queue = topic.slice(QUEUE_TOPIC.length)
  return html`<a href=${href(['queues', queue])} aria-label="Queue ${queue}">Queue</a>`
}
