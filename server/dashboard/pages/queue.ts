import { repeat } from 'lit/directives/repeat.js'
import { html, nothing, type TemplateResult } from 'lit/html.js'
import type { HeaderFilter } from '../../../shared/frames.ts'
import type { QueueInfo } from '../../../shared/queues.ts'
import { act, canAct } from '../acts.ts'
import { confirmed } from '../confirm.ts'
import { bytes, count, counted, duration, isolated, rate, shownKey } from '../format.ts'
import type { HistoryView } from '../history-view.ts'
import { tell } from '../notices.ts'
import type { OpenPage } from '../page.ts'
import { type Content, empty, facts, figure, verdict } from '../parts.ts'
import { href } from '../route.ts'
import { StillRows } from '../still.ts'
import { MOST_ROWS, moreRows } from '../table.ts'
import { openNamed } from './named-page.ts'

/** Keys of parked groups. Rows stay in place while the pointer is on one of them. */
type ParkedKeys = StillRows<string>

export const openQueue: OpenPage = (route) => {
  const parked: ParkedKeys = new StillRows('.parked tbody', (key) => key)
  return openNamed<QueueInfo>(route, {
    kind: 'queue',
    verbs,
    details: (info, history) => details(info, history, parked),
  })
}

function verbs(info: QueueInfo): TemplateResult {
  return html`<a class="button" href=${href(['publish'], { kind: 'queue', to: info.name })}>Publish</a>
    <a class="button" href=${href(['queues', info.name, 'dead-letters'])}>Dead letters (${count(info.deadLetters)})</a>
    <button class="danger" ?disabled=${!canAct()} @click=${() => purge(info)}>Purge…</button>`
}

function details(info: QueueInfo, history: HistoryView, parked: ParkedKeys): TemplateResult {
  return html`${info.growing ? verdict('bad', 'Backlog growing: for 30 s, more messages were published than acked.') : nothing}
    ${figures(info)}
    ${history.charts([
      { lines: [{ label: 'Ready', color: '--blue', figure: 'ready' }], value: count },
      {
        lines: [
          { label: 'In', color: '--blue', figure: 'publishedPerSecond' },
          { label: 'Acked', color: '--teal', figure: 'ackedPerSecond' },
        ],
        value: (n) => `${rate(n)}/s`,
      },
    ])}
    ${parkedGroups(info, parked)}
    <div class="columns">
      <section><h2>Bindings</h2>${bindings(info)}</section>
      <section><h2>Settings</h2>${settings(info)}</section>
    </div>`
}

function figures(info: QueueInfo): TemplateResult {
  const { name, ready, depth, inFlight, readyAgeMs, consumers, keepUpConsumers, deadLetters } = info
  const held = depth - ready
  const lacks = keepUpConsumers > consumers || (ready > 0 && consumers === 0)
  return html`<dl class="figures">
      ${figure('Ready', count(ready), held > 0 ? `${count(held)} more delayed or held in groups` : 'waiting for a consumer')}
      ${figure('Unacked', count(inFlight), 'delivered, not yet acked')}
      ${figure('Oldest ready', readyAgeMs > 0 ? duration(readyAgeMs) : '–', readyAgeMs > 0 ? 'time in the queue' : 'no message is ready')}
      ${figure('Consumers', count(consumers), consumersNote(info), lacks ? 'warn' : '')}
      ${figure('In', `${rate(info.publishedPerSecond)}/s`, `${count(info.publishedTotal)} since the hub started`)}
      ${figure('Acked', `${rate(info.ackedPerSecond)}/s`, `${count(info.ackedTotal)} since the hub started`)}
      ${figure('Redelivered', count(info.redeliveredTotal), `${count(info.droppedTotal)} dropped, since the hub started`)}
      ${figure('Dead letters', html`<a href=${href(['queues', name, 'dead-letters'])}>${count(deadLetters)}</a>`, lettersNote(info), deadLetters > 0 ? 'warn' : '')}
    </dl>`
}

function consumersNote({ ready, consumers, wantedConsumers, keepUpConsumers }: QueueInfo): string {
  if (keepUpConsumers > consumers) return `${count(keepUpConsumers)} needed to keep up`
  if (wantedConsumers > consumers) return `${count(wantedConsumers)} needed to clear the backlog in 10 s`
  if (consumers > 0) return 'enough to keep up'
  return ready > 0 ? 'none connected' : 'none connected, none needed'
}

function lettersNote({ deadLetters, deadLettersDroppedTotal }: QueueInfo): string {
  if (deadLettersDroppedTotal > 0) return `${count(deadLettersDroppedTotal)} older ones dropped since the hub started`
  return deadLetters > 0 ? 'messages that failed' : 'none'
}

const OVERFLOW: Readonly<Record<QueueInfo['overflow'], string>> = {
  reject: 'publishes are refused',
  block: 'publishes wait for space',
  'drop-oldest': 'the oldest ready messages are dropped',
  'dead-letter': 'the oldest ready messages become dead letters',
}

function settings(info: QueueInfo): TemplateResult {
  const messages = info.depth + info.inFlight
  const rows: (readonly [string, Content])[] = [
    ['Maximum messages', `${count(info.maxMessages)} (${count(messages)} now)`],
    ['Maximum bytes', `${bytes(info.maxBytes)} (${bytes(info.bytes)} now)`],
    ['When full', OVERFLOW[info.overflow]],
    ['Ack deadline', duration(info.ackDeadlineMs)],
    [
      'Attempts',
      `${count(info.maxAttempts)}, with ${duration(info.backoffBaseMs)} to ${duration(info.backoffCapMs)} between them`,
    ],
    ['On expiry', info.onExpiry === 'drop' ? 'the message is dropped' : 'the message becomes a dead letter'],
    ['On a dead letter', info.onDeadLetter === 'continue' ? 'its group continues' : 'its group is parked'],
    ['Maximum dead letters', `${count(info.maxDeadLetters)}; beyond that the oldest are dropped`],
  ]
  return html`<details class="panel"><summary>${count(messages)} of ${counted(info.maxMessages, 'message')}, ${bytes(info.bytes)} of ${bytes(info.maxBytes)}; when full, ${OVERFLOW[info.overflow]}</summary>${facts(rows)}</details>`
}

function bindings({ bindings, name }: QueueInfo): TemplateResult {
  if (bindings.length === 0)
    return empty(
      'No bindings',
      html`The queue receives only messages published directly to it, on <span class="name">$queue.${name}</span>.`,
    )
  return html`<div class="panel table"><table aria-label="Bindings">
    <thead><tr><th scope="col" class="text">Topic</th><th scope="col" class="text">Headers</th></tr></thead>
    <tbody>${bindings.map(({ topic, match }) => html`<tr><th scope="row" class="name">${topic}</th><td>${headersText(match)}</td></tr>`)}</tbody>
  </table></div>`
}

function headersText(match: HeaderFilter | undefined): string {
  if (!match) return 'any'
  const all = 'all' in match
  const wanted = Object.entries((match as { all?: object }).all ?? (match as { any?: object }).any ?? {})
  return wanted
    .map(([name, value]) => `${name}: ${value}`)
    .map(isolated)
    .join(all ? ' and ' : ' or ')
}

function parkedGroups({ name, parked, parkedMore }: QueueInfo, still: ParkedKeys): TemplateResult | typeof nothing {
  const rows = still.arranged(parked.slice(0, MOST_ROWS))
  if (rows.length === 0) return nothing
  return html`<section class="parked"><h2>Parked groups</h2>
    <p class="quiet">A message of each of these groups was dead-lettered. The rest of the group waits until you resume it.</p>
    <div class="panel table"><table aria-label="Parked groups"><tbody>${repeat(
      rows,
      ({ row }) => row,
      ({
        row: key,
        isPast,
      }) => html`<tr class=${isPast ? 'past' : ''}><th scope="row" class="name">${shownKey(key)}</th>
        <td class="action verb">${isPast ? html`<span class="quiet">resumed</span>` : html`<button ?disabled=${!canAct()} aria-label="Resume ${shownKey(key)}" @click=${() => resume(name, key)}>Resume</button>`}</td></tr>`,
    )}</tbody></table></div>${moreRows(parked.length + parkedMore, Math.min(parked.length, MOST_ROWS))}</section>`
}

async function resume(name: string, key: string): Promise<void> {
  await tell(
    act((hub) => hub.queues.unpark(name, key)),
    () => `The group ${isolated(shownKey(key))} of ${name} was resumed.`,
  )
}

async function purge({ name, depth, inFlight }: QueueInfo): Promise<void> {
  const yes = await confirmed({
    title: `Purge ${name}?`,
    text: `${counted(depth, 'waiting message')}, delayed ones included, will be deleted without being handled. ${counted(inFlight, 'unacked message')} and the dead letters are kept. This cannot be undone.`,
    verb: 'Purge',
    typed: name,
  })
  if (yes)
    await tell(
      act((hub) => hub.queues.purge(name)),
      (purged) => `${counted(purged, 'message')} purged from ${name}.`,
    )
}
