import { html, nothing, type TemplateResult } from 'lit/html.js'
import type { HeaderFilter } from '../../../shared/frames.ts'
import type { QueueInfo } from '../../../shared/queues.ts'
import { act, canAct } from '../acts.ts'
import type { ChartSpec } from '../chart.ts'
import { confirmed } from '../confirm.ts'
import { bytes, count, counted, duration, rate, tick } from '../format.ts'
import { model } from '../hub.ts'
import { ACKED, DEPTH, PUBLISHED, type Watched } from '../model.ts'
import { tell } from '../notices.ts'
import type { OpenPage } from '../page.ts'
import { empty, facts, figure, heading } from '../parts.ts'
import { href } from '../route.ts'
import { MOST_ROWS, moreRows } from '../table.ts'

const WAITING: ChartSpec = { lines: [{ label: 'Waiting', color: '--blue' }], value: count, tick }
const SPEED: ChartSpec = {
  lines: [
    { label: 'In', color: '--blue' },
    { label: 'Done', color: '--teal' },
  ],
  value: (n) => `${rate(n)}/s`,
  tick,
}

export const openQueue: OpenPage = ({ rest: [name = ''] }) => ({
  title: name,
  view() {
    const back = html`<p class="back"><a href=${href(['queues'])}>Queues</a></p>`
    const queue = model.queues.get(name)
    if (queue) return html`${back}${details(queue)}`
    return html`${back}${heading(name)}${empty('There is no queue of that name', 'It may have been deleted, or its first figures are on their way.')}`
  },
})

function details({ info, history }: Watched<QueueInfo>): TemplateResult {
  const { name, depth, delayed, inFlight, oldestAgeMs, consumers, wantedConsumers, deadLetters, growing } = info
  const wants = wantedConsumers > consumers
  return html`${heading(
    html`<span class="name">${name}</span>`,
    html`<a class="button" href=${href(['publish'], { kind: 'queue', to: name })}>Publish to it</a>
      <button class="danger" ?disabled=${!canAct()} @click=${() => purge(info)}>Purge…</button>`,
  )}
    ${growing ? html`<p class="panel verdict"><span class="dot bad" aria-hidden="true"></span>It only grows: for half a minute more has come in than was done.</p>` : nothing}
    <dl class="figures">
      ${figure('Waiting', count(depth), delayed > 0 ? `${count(delayed)} of them delayed` : bytes(info.bytes))}
      ${figure('In flight', count(inFlight), 'on lease to consumers')}
      ${figure('Oldest', oldestAgeMs > 0 ? duration(oldestAgeMs) : '–', 'since its publish')}
      ${figure('Consumers', count(consumers), wants ? `${count(wantedConsumers)} would keep up` : 'enough', wants ? 'warn' : '')}
      ${figure('In', `${rate(info.publishedPerSecond)}/s`, `${count(info.publishedTotal)} in all`)}
      ${figure('Done', `${rate(info.ackedPerSecond)}/s`, `${count(info.ackedTotal)} in all`)}
      ${figure('Tried again', count(info.redeliveredTotal), `${count(info.droppedTotal)} dropped`)}
      ${figure('Dead letters', html`<a href=${href(['queues', name, 'dead-letters'])}>${count(deadLetters)}</a>`, lettersNote(info), deadLetters > 0 ? 'warn' : '')}
    </dl>
    <section class="charts" aria-label="The last five minutes">
      <time-chart class="panel" .spec=${WAITING} .data=${history.columns(DEPTH)}></time-chart>
      <time-chart class="panel" .spec=${SPEED} .data=${history.columns(PUBLISHED, ACKED)}></time-chart>
    </section>
    ${parkedGroups(info)}
    <section><h2>Bindings</h2>${bindings(info)}</section>
    <section><h2>Limits</h2><div class="panel">${facts([
      ['Most messages', `${count(info.maxMessages)}; ${count(depth + inFlight)} now`],
      ['Most bytes', `${bytes(info.maxBytes)}; ${bytes(info.bytes)} now`],
      ['When it is full', OVERFLOW[info.overflow]],
      ['Time for a delivery', duration(info.ackDeadlineMs)],
      [
        'Attempts',
        `${count(info.maxAttempts)}, with ${duration(info.backoffBaseMs)} to ${duration(info.backoffCapMs)} between them`,
      ],
      ['Past its expiry', info.onExpiry === 'drop' ? 'a message is dropped' : 'a message becomes a dead letter'],
      ['A group with a dead letter', info.onDeadLetter === 'continue' ? 'goes on' : 'is parked'],
      ['Most dead letters', `${count(info.maxDeadLetters)}; then the oldest go`],
    ])}</div></section>`
}

const OVERFLOW: Readonly<Record<QueueInfo['overflow'], string>> = {
  reject: 'a publish is refused',
  block: 'a publish waits for room',
  'drop-oldest': 'the oldest that wait are dropped',
  'dead-letter': 'the oldest that wait become dead letters',
}

function bindings({ bindings, name }: QueueInfo): TemplateResult {
  if (bindings.length === 0)
    return empty('No topic feeds it', `It gets what is published straight to it, on $queue.${name}.`)
  return html`<div class="panel table"><table>
    <thead><tr><th scope="col" class="text">Topic</th><th scope="col" class="text">Headers</th></tr></thead>
    <tbody>${bindings.map(({ topic, match }) => html`<tr><th scope="row" class="name">${topic}</th><td>${headersText(match)}</td></tr>`)}</tbody>
  </table></div>`
}

function headersText(match: HeaderFilter | undefined): string {
  if (!match) return 'any'
  const all = 'all' in match
  const wanted = Object.entries((match as { all?: object }).all ?? (match as { any?: object }).any ?? {})
  return wanted.map(([name, value]) => `${name}: ${value}`).join(all ? ' and ' : ' or ')
}

function lettersNote({ deadLetters, deadLettersDroppedTotal }: QueueInfo): string {
  if (deadLettersDroppedTotal > 0) return `${count(deadLettersDroppedTotal)} more were dropped`
  return deadLetters > 0 ? 'look at them' : 'none'
}

function parkedGroups({ name, parked, parkedMore }: QueueInfo): TemplateResult | typeof nothing {
  if (parked.length === 0) return nothing
  return html`<section><h2>Parked groups</h2>
    <p class="quiet">A message of each has become a dead letter; the rest of the group waits until it is let go on.</p>
    <div class="panel table"><table><tbody>${parked.slice(0, MOST_ROWS).map(
      (key) => html`<tr><th scope="row" class="name">${key}</th>
        <td class="action verb"><button ?disabled=${!canAct()} @click=${() =>
          tell(
            act((hub) => hub.queues.unpark(name, key)),
            () => `The group ${key} goes on.`,
          )} aria-label="Let ${key} go on">Let it go on</button></td></tr>`,
    )}</tbody></table></div>${moreRows(parked.length + parkedMore, MOST_ROWS)}</section>`
}

async function purge({ name, depth, inFlight }: QueueInfo): Promise<void> {
  const yes = await confirmed({
    title: `Purge ${name}?`,
    text: `${counted(depth, 'message')} that wait are deleted, and never handled. ${counted(inFlight, 'message')} on lease and the dead letters stay. That cannot be undone.`,
    verb: 'Purge',
    typed: name,
  })
  if (yes)
    await tell(
      act((hub) => hub.queues.purge(name)),
      (purged) => `${counted(purged, 'message')} purged from ${name}.`,
    )
}
