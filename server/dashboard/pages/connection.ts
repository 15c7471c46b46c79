import { html, nothing, type TemplateResult } from 'lit/html.js'
import { type ConnectionInfo, type EndedConnection, hubName } from '../../../shared/sys.ts'
import { act, canAct } from '../acts.ts'
import { confirmed } from '../confirm.ts'
import { bytes, connectionName, count, counted, duration, isolated } from '../format.ts'
import { hubNow, model } from '../hub.ts'
import { tell } from '../notices.ts'
import type { OpenPage } from '../page.ts'
import { empty, facts, figure, fill, heading, moment, unanswered, verdict } from '../parts.ts'
import { poll } from '../poll.ts'
import { href } from '../route.ts'
import { health, stateOf } from '../slow.ts'
import { MOST_ROWS, moreRows } from '../table.ts'

export const openConnection: OpenPage = ({ rest: [id = ''] }) => {
  const shown = poll<ConnectionInfo | EndedConnection>('connections.show', { connection: id })
  return {
    title: 'Connection',
    close: () => shown.stop(),
    view() {
      const back = html`<p class="back"><a href=${href(['connections'])}>Connections</a></p>`
      // It may disappear without an ended entry, for example when the hub restarts.
      const info = shown.gone && shown.value && !('endedAt' in shown.value) ? undefined : shown.value
      // The heading stays the same element whatever is below it, because it may have the focus.
      return html`${back}${heading(title(id, info), info ? verbs(info) : nothing)}
        ${info ? details(info) : shown.gone ? UNKNOWN : unanswered(shown.error)}`
    },
  }
}

function title(id: string, info: ConnectionInfo | undefined): TemplateResult {
  const name = info ? connectionName(info) : id
  return html`<bdi class=${name === id ? 'name' : ''}>${name}</bdi>`
}

function behindText({ lagMs, outboxBytes }: ConnectionInfo): string {
  if (lagMs > 0) return 'its outbox has been non-empty this long'
  return outboxBytes > 0 ? 'its client has unconfirmed messages' : 'its outbox is empty'
}

const UNKNOWN = empty(
  'No such connection',
  'The hub has no open connection with this id, and none among those that ended recently.',
)

const LEVELS = { well: 'good', slow: 'warn', losing: 'bad' } as const

function verbs(info: ConnectionInfo | EndedConnection): TemplateResult | typeof nothing {
  if ('endedAt' in info) return nothing
  return html`<button class="danger" ?disabled=${!canAct()} @click=${() => disconnect(info)}>Disconnect…</button>`
}

/** For a connection that has ended, these are its last figures. */
function details(info: ConnectionInfo | EndedConnection): TemplateResult {
  const ended = 'endedAt' in info ? info : undefined
  const now = hubNow()
  const { connection, address, connectedAt, outboxBytes, outboxLimitBytes, lagMs, droppedTotal } = info
  return html`${ended ? verdict('warn', html`Ended ${moment(ended.endedAt)}: ${ended.reason} These are the last figures.`) : verdict(LEVELS[health(info, now)], stateOf(info, now))}
    <dl class="figures few">
      ${figure('Outbox', bytes(outboxBytes), html`of ${bytes(outboxLimitBytes)} ${fill(outboxBytes, outboxLimitBytes)}`)}
      ${figure('Lag', lagMs > 0 ? duration(lagMs) : '–', behindText(info))}
      ${figure('Dropped', count(droppedTotal), 'messages since connected', health(info, now) === 'losing' ? 'bad' : '')}
      ${figure('Delivered', count(info.deliveredTotal), `${count(info.publishedTotal)} published`)}
    </dl>
    <div class="columns">
      <section><h2>Subscriptions</h2>${subscriptions(info)}</section>
      <section><h2>Consumers</h2>${consumers(info)}</section>
      <section><h2>Details</h2><div class="panel">${facts([
        ['Connection', html`<span class="name">${connection}</span>`],
        ['Client', info.client || 'no name given'],
        ['User', info.subject ?? 'anonymous'],
        ['Address', address],
        ...((model.hub?.nodes ?? 1) > 1 ? ([['Hub', hubName(info.node)]] as const) : []),
        [
          'Connected',
          html`${moment(connectedAt)}, ${duration((ended?.endedAt ?? now) - connectedAt)} ${ended ? 'before it ended' : 'ago'}`,
        ],
      ])}</div></section>
    </div>`
}

function subscriptions({ subscriptions, subscriptionCount }: ConnectionInfo): TemplateResult {
  if (subscriptions.length === 0)
    return empty('No subscriptions', 'The client may still publish, send requests or consume queues.')
  return html`<div class="panel table"><table aria-label="Subscriptions">
    <thead><tr><th scope="col" class="text">Pattern</th><th scope="col" class="text">Policy</th><th scope="col" class="text">State</th><th scope="col" class="number">Dropped</th></tr></thead>
    <tbody>${subscriptions.slice(0, MOST_ROWS).map(
      ({ pattern, policy, stream, paused, behind, droppedTotal }) => html`<tr>
        <th scope="row" class="name">${pattern}</th>
        <td>${policy}</td>
        <td>${paused ? 'paused by the client' : behind ? 'catching up' : 'live'}${stream ? html` <span class="quiet">from ${stream}</span>` : ''}</td>
        <td class="number">${count(droppedTotal)}</td>
      </tr>`,
    )}</tbody></table></div>${moreRows(subscriptionCount, Math.min(subscriptions.length, MOST_ROWS))}`
}

function consumers({ consumers, consumerCount }: ConnectionInfo): TemplateResult {
  if (consumers.length === 0) return empty('No consumers', 'This connection does not consume queues.')
  return html`<div class="panel table"><table aria-label="Consumers">
    <thead><tr><th scope="col" class="text">Queue</th><th scope="col" class="number">Unacked</th><th scope="col" class="number">Prefetch</th></tr></thead>
    <tbody>${consumers.slice(0, MOST_ROWS).map(
      ({ queue, inFlight, prefetch }) => html`<tr>
        <th scope="row"><a class="name" href=${href(['queues', queue])}>${queue}</a></th>
        <td class="number">${count(inFlight)}</td><td class="number">${count(prefetch)}</td>
      </tr>`,
    )}</tbody></table></div>${moreRows(consumerCount, Math.min(consumers.length, MOST_ROWS))}`
}

async function disconnect(info: ConnectionInfo): Promise<void> {
  const { connection, consumerCount } = info
  const name = isolated(connectionName(info))
  const consumers =
    consumerCount > 0
      ? ` Its ${counted(consumerCount, 'consumer')} will end, and their unacked messages go to other consumers.`
      : ''
  const yes = await confirmed({
    title: `Disconnect ${name}?`,
    text: `The hub closes the connection. The client will reconnect unless it has been stopped.${consumers}`,
    verb: 'Disconnect',
  })
  if (!yes) return
  const asked = act((hub) => hub.connections.disconnect(connection)).then(
    () => `${name} was disconnected.`,
    (error: { code?: unknown }) => {
      if (error.code !== 'no_connection') throw error
      return `${name} had already ended.`
    },
  )
  const done = await tell(asked, (words) => words)
  if (done) location.hash = href(['connections'])
}
