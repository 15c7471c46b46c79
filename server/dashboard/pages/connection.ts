import { html, type TemplateResult } from 'lit/html.js'
import type { ConnectionInfo } from '../../../shared/sys.ts'
import { act, canAct } from '../acts.ts'
import { confirmed } from '../confirm.ts'
import { bytes, clock, count, counted, duration } from '../format.ts'
import { tell } from '../notices.ts'
import type { OpenPage } from '../page.ts'
import { empty, facts, figure, fill, heading } from '../parts.ts'
import { poll } from '../poll.ts'
import { href } from '../route.ts'
import { health, whySlow } from '../slow.ts'
import { MOST_ROWS, moreRows } from '../table.ts'

export const openConnection: OpenPage = ({ rest: [id = ''] }) => {
  const shown = poll<ConnectionInfo>('connections.show', { connection: id })
  return {
    title: 'Connection',
    close: () => shown.stop(),
    view() {
      const back = html`<p class="back"><a href=${href(['connections'])}>Connections</a></p>`
      if (shown.error !== undefined) return html`${back}${heading(id)}${empty('It is not open', shown.error)}`
      if (!shown.value) return html`${back}${heading(id)}${empty('Asking the hub', 'It will answer at once.')}`
      return html`${back}${details(shown.value)}`
    },
  }
}

function details(info: ConnectionInfo): TemplateResult {
  const { connection, client, outboxBytes, outboxLimitBytes, lagMs, droppedTotal, deliveredTotal, publishedTotal } =
    info
  const state = health(info)
  const kind = state === 'well' ? 'good' : state === 'slow' ? 'warn' : 'bad'
  return html`${heading(
    client ?? connection,
    html`<button class="danger" ?disabled=${!canAct()} @click=${() => disconnect(info)}>Disconnect…</button>`,
  )}
    <p class="panel verdict"><span class="dot ${kind}" aria-hidden="true"></span>It ${whySlow(info)}.</p>
    <dl class="figures">
      ${figure('Outbox', bytes(outboxBytes), html`of ${bytes(outboxLimitBytes)} ${fill(outboxBytes, outboxLimitBytes)}`)}
      ${figure('Lag', lagMs > 0 ? duration(lagMs) : '–', lagMs > 0 ? 'its outbox is not empty' : 'keeps up')}
      ${figure('Left out', count(droppedTotal), 'messages', droppedTotal > 0 ? 'bad' : '')}
      ${figure('Delivered', count(deliveredTotal), `${count(publishedTotal)} published`)}
    </dl>
    <section><h2>Subscriptions</h2>${subscriptions(info)}</section>
    <section><h2>Consumers</h2>${consumers(info)}</section>
    <section><h2>About it</h2><div class="panel">${facts([
      ['Connection', html`<span class="name">${connection}</span>`],
      ['Client', client ?? 'did not say'],
      ['Address', info.address],
      ['Open since', `${clock(info.connectedAt)}, for ${duration(Date.now() - info.connectedAt)}`],
    ])}</div></section>`
}

function subscriptions({ subscriptions, subscriptionCount }: ConnectionInfo): TemplateResult {
  if (subscriptions.length === 0) return empty('It subscribes to nothing', 'It may publish, ask, or consume a queue.')
  return html`<div class="panel table"><table>
    <thead><tr><th scope="col" class="text">Pattern</th><th scope="col" class="text">Policy</th><th scope="col" class="text">State</th><th scope="col" class="number">Left out</th></tr></thead>
    <tbody>${subscriptions.slice(0, MOST_ROWS).map(
      ({ pattern, policy, stream, paused, behind, droppedTotal }) => html`<tr>
        <th scope="row" class="name">${pattern}</th>
        <td>${policy}</td>
        <td>${paused ? 'held back by its client' : behind ? 'catching up' : 'live'}${stream ? html` <span class="quiet">from ${stream}</span>` : ''}</td>
        <td class="number">${count(droppedTotal)}</td>
      </tr>`,
    )}</tbody></table></div>${moreRows(subscriptionCount, Math.min(subscriptions.length, MOST_ROWS))}`
}

function consumers({ consumers, consumerCount }: ConnectionInfo): TemplateResult {
  if (consumers.length === 0) return empty('It consumes no queue', 'Its messages come by subscription alone.')
  return html`<div class="panel table"><table>
    <thead><tr><th scope="col" class="text">Queue</th><th scope="col" class="number">In flight</th><th scope="col" class="number">Prefetch</th></tr></thead>
    <tbody>${consumers.slice(0, MOST_ROWS).map(
      ({ queue, inFlight, prefetch }) => html`<tr>
        <th scope="row"><a class="name" href=${href(['queues', queue])}>${queue}</a></th>
        <td class="number">${count(inFlight)}</td><td class="number">${count(prefetch)}</td>
      </tr>`,
    )}</tbody></table></div>${moreRows(consumerCount, Math.min(consumers.length, MOST_ROWS))}`
}

async function disconnect({ connection, client, consumerCount }: ConnectionInfo): Promise<void> {
  const name = client ?? connection
  const leases =
    consumerCount > 0 ? ` ${counted(consumerCount, 'consumer')} of it end; what they hold goes to others.` : ''
  const yes = await confirmed({
    title: `Disconnect ${name}?`,
    text: `The hub closes the connection; its client comes back after a wait, if it is not stopped.${leases}`,
    verb: 'Disconnect',
  })
  if (!yes) return
  const done = await tell(
    act((hub) => hub.connections.disconnect(connection)),
    () => `${name} is disconnected.`,
  )
  if (done) location.hash = href(['connections'])
}
