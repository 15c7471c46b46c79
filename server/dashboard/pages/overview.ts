import { html, type TemplateResult } from 'lit/html.js'
import type { Attention, HubInfo } from '../../../shared/sys.ts'
import { AttentionPanel } from '../attention-panel.ts'
import { bytes, count, counted, duration, percent, rate } from '../format.ts'
import { type HistoryView, historyOf } from '../history-view.ts'
import { hubNow, hubUrl, model } from '../hub.ts'
import { NodesPanel } from '../nodes-panel.ts'
import type { OpenPage } from '../page.ts'
import { figure, fill, heading, unanswered } from '../parts.ts'
import { preformatted } from '../payload-view.ts'
import { poll } from '../poll.ts'
import { missingRights } from '../rights.ts'
import { href } from '../route.ts'

/** Maximum number of entries under "Needs attention". */
const MOST_ENTRIES = 10

const perSecond = (n: number) => `${rate(n)}/s`

export const openOverview: OpenPage = (route) => {
  const attention = poll<Attention>('hub.attention', { limit: MOST_ENTRIES })
  const panel = new AttentionPanel(attention)
  const history = historyOf(route, { of: 'hub' })
  const nodes = new NodesPanel()
  return {
    title: 'Overview',
    view: () => overview(panel, history, nodes),
    close() {
      attention.stop()
      history.close()
      nodes.close()
    },
  }
}

function overview(attention: AttentionPanel, history: HistoryView, nodes: NodesPanel): TemplateResult {
  const { hub } = model
  if (!hub) return html`${heading('Overview')}${unanswered(missingRights())}`
  return html`${heading('Overview', html`<p class="quiet">${`Fanfare ${hub.version}, engine ${hub.engine}, up for ${duration(hubNow() - hub.startedAt)}`}</p>`)}
    ${attention.view()} ${isNew(hub) ? firstSteps() : ''}
    ${history.charts([
      { lines: [{ label: 'Published', color: '--blue', figure: 'publishedPerSecond' }], value: perSecond },
      { lines: [{ label: 'Delivered', color: '--teal', figure: 'deliveredPerSecond' }], value: perSecond },
    ])}
    ${figures(hub)} ${nodes.view()}`
}

function figures(hub: HubInfo): TemplateResult {
  const late = hub.eventLoopDelayMs
  return html`<dl class="figures">
      ${figure('Published', perSecond(hub.publishedPerSecond), `${bytes(hub.bytesInPerSecond)}/s in`)}
      ${figure('Delivered', perSecond(hub.deliveredPerSecond), `${bytes(hub.bytesOutPerSecond)}/s out`)}
      ${figure('Dropped', perSecond(hub.droppedPerSecond), droppedWords(hub), hub.droppedPerSecond > 0 ? 'bad' : '')}
      ${figure('Outboxes', bytes(hub.outboxBytes), html`of ${bytes(hub.outboxTotalBytes)} ${fill(hub.outboxBytes, hub.outboxTotalBytes)}`)}
      ${figure('Connections', html`<a href=${href(['connections'])}>${count(hub.connections)}</a>`, counted(hub.subscriptions, 'subscription'))}
      ${figure('Queues', html`<a href=${href(['queues'])}>${count(hub.queues)}</a>`, html`<a href=${href(['streams'])}>${counted(hub.streams, 'stream')}</a>, <a href=${href(['topics'])}>${counted(hub.topics, 'topic')}</a>`)}
      ${figure('Event loop delay', duration(late), '99th percentile of the last second', late > 100 ? 'bad' : '')}
      ${figure('Memory', bytes(hub.memoryBytes), `${percent(hub.cpu)} of one core`)}
    </dl>`
}

function droppedWords({ droppedTotal }: HubInfo): string {
  const reasons = Object.entries(droppedTotal).filter(([, n]) => n > 0)
  if (reasons.length === 0) return 'none since the hub started'
  return `since the hub started: ${reasons.map(([reason, n]) => `${count(n)} by ${reason}`).join(', ')}`
}

/** Whether nothing has happened on this hub yet. */
function isNew({ publishedTotal, queues, streams }: HubInfo): boolean {
  return publishedTotal === 0 && queues === 0 && streams === 0
}

/** Snippets to paste for a first message. */
function firstSteps(): TemplateResult {
  const http = hubUrl.replace(/^ws/, 'http').replace(/\/$/, '')
  const snippet = (label: string, text: string) => html`<dt>${label}</dt><dd>${preformatted(label, text)}</dd>`
  const publish = `await connect('${hubUrl}').publish('hello.world', { n: 1 })`
  return html`<section class="panel steps"><h2>First steps</h2>
    <p>Open the <a href=${href(['tail'], { pattern: '#' })}>live tail</a> in another tab, then publish a message:</p>
    <dl>
      ${snippet('With curl', `curl ${http}/v1/publish --json '{"topic":"hello.world","data":{"n":1}}'`)}
      ${snippet('In a browser', `import { connect } from '${http}/fanfare.js'\n${publish}`)}
      ${snippet('In Node', `import { connect } from 'fanfare/client'\n${publish}`)}
    </dl></section>`
}
