import { html, type TemplateResult } from 'lit/html.js'
import { type Attention, attention } from '../attention.ts'
import type { ChartSpec } from '../chart.ts'
import { bytes, count, duration, percent, rate, tick } from '../format.ts'
import { model } from '../hub.ts'
import type { OpenPage } from '../page.ts'
import { empty, figure, fill, heading } from '../parts.ts'
import { missingRights } from '../rights.ts'
import { href } from '../route.ts'

const perSecond = (n: number) => `${rate(n)}/s`
const IN: ChartSpec = { lines: [{ label: 'Published', color: '--blue' }], value: perSecond, tick }
const OUT: ChartSpec = { lines: [{ label: 'Delivered', color: '--teal' }], value: perSecond, tick }

export const openOverview: OpenPage = () => ({ title: 'Overview', view: overview })

function overview(): TemplateResult {
  const { hub, traffic } = model
  if (!hub)
    return html`${heading('Overview')}${empty('Waiting for the hub', missingRights() ?? 'Its first figures come within a second.')}`
  return html`${heading('Overview', html`<p class="quiet">${`Fanfare ${hub.version}, engine ${hub.engine}, up for ${duration(Date.now() - hub.startedAt)}`}</p>`)}
    ${needsAttention(attention(model))}
    <section class="charts" aria-label="Throughput of the last five minutes">
      <time-chart class="panel" .spec=${IN} .data=${traffic.columns(0)}></time-chart>
      <time-chart class="panel" .spec=${OUT} .data=${traffic.columns(1)}></time-chart>
    </section>
    <dl class="figures">
      ${figure('Published', perSecond(hub.publishedPerSecond), `${bytes(hub.bytesInPerSecond)}/s in`)}
      ${figure('Delivered', perSecond(hub.deliveredPerSecond), `${bytes(hub.bytesOutPerSecond)}/s out`)}
      ${figure('Left out', perSecond(hub.droppedPerSecond), droppedWords(), hub.droppedPerSecond > 0 ? 'bad' : '')}
      ${figure('Outboxes', bytes(hub.outboxBytes), html`of ${bytes(hub.outboxTotalBytes)} ${fill(hub.outboxBytes, hub.outboxTotalBytes)}`)}
      ${figure('Connections', html`<a href=${href(['connections'])}>${count(hub.connections)}</a>`, `${count(hub.subscriptions)} subscriptions`)}
      ${figure('Queues', html`<a href=${href(['queues'])}>${count(hub.queues)}</a>`, html`<a href=${href(['streams'])}>${count(hub.streams)} streams</a>, <a href=${href(['topics'])}>${count(hub.topics)} topics</a>`)}
      ${figure('Event loop', duration(hub.eventLoopDelayMs), 'late, 99th percentile', hub.eventLoopDelayMs > 100 ? 'bad' : '')}
      ${figure('Memory', bytes(hub.memoryBytes), `${percent(hub.cpu)} of one core`)}
    </dl>`
}

function droppedWords(): string {
  const reasons = Object.entries(model.hub?.droppedTotal ?? {}).filter(([, n]) => n > 0)
  if (reasons.length === 0) return 'nothing so far'
  return reasons.map(([reason, n]) => `${count(n)} by ${reason}`).join(', ')
}

function needsAttention(found: readonly Attention[]): TemplateResult {
  return html`<section class="panel attention" aria-label="What needs attention">
    ${
      found.length === 0
        ? html`<p class="good"><span class="dot good" aria-hidden="true"></span>Nothing needs attention.</p>`
        : html`<h2>Needs attention</h2>
          <ul>${found.map(
            ({ level, subject, text, href }) =>
              html`<li><span class="dot ${level}" aria-hidden="true"></span><span><a href=${href}>${subject}</a> ${text}</span></li>`,
          )}</ul>`
    }
  </section>`
}
