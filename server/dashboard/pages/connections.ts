import { repeat } from 'lit/directives/repeat.js'
import { html, nothing, type TemplateResult } from 'lit/html.js'
import {
  CONNECTION_SORTS,
  type ConnectionInfo,
  type ConnectionsEnded,
  type ConnectionsFound,
  type EndedConnection,
} from '../../../shared/sys.ts'
import { bytes, connectionName, count, counted, duration } from '../format.ts'
import { hubNow } from '../hub.ts'
import { HubList } from '../hub-list.ts'
import type { OpenPage } from '../page.ts'
import { fill, heading, moment } from '../parts.ts'
import { type Polled, poll } from '../poll.ts'
import { href } from '../route.ts'
import { health, stateOf } from '../slow.ts'
import { listing } from '../table.ts'

/** Maximum number of ended connections in the list. */
const MOST_ENDED = 10

export const openConnections: OpenPage = (route) => {
  const list = new HubList<ConnectionInfo, ConnectionsFound>(route, {
    method: 'connections.find',
    rows: ({ connections }) => connections,
    keyOf: ({ connection }) => connection,
    sorts: CONNECTION_SORTS,
    sort: 'trouble',
  })
  const ended = poll<ConnectionsEnded>('connections.recent', {})
  return {
    title: 'Connections',
    view: () => html`${connections(list)} ${endedLately(ended)}`,
    close() {
      list.close()
      ended.stop()
    },
  }
}

function connections(list: HubList<ConnectionInfo, ConnectionsFound>): TemplateResult {
  const total = list.answer === undefined ? '' : `${counted(list.answer.count, 'connection')} open`
  return html`${heading('Connections', html`<p class="quiet">${total}</p>`)} ${listing(list, {
    label: 'Connections',
    filter: 'Filter by client, user, address, pattern or queue',
    noneTitle: 'No connections',
    none: 'Clients appear here when they connect.',
    noMatch: 'No open connection matches the filter',
    kind: 'worded',
    head: (cell) => html`
      ${cell('client', 'Client', 'text client')}${cell('outboxBytes', 'Outbox', 'outbox')}${cell('droppedTotal', 'Dropped')}
      ${cell('deliveredTotal', 'Delivered', 'number wide')}${cell('number', 'Open for', 'number wide')}
      <th scope="col" class="text why">State</th>`,
    cells,
  })}`
}

function cells(info: ConnectionInfo): TemplateResult {
  const { connection, client, address, outboxBytes, outboxLimitBytes, droppedTotal, deliveredTotal, connectedAt } = info
  return html`<th scope="row" class="client"><a class="name" href=${href(['connections', connection])}>${connectionName({ client, connection })}</a><span class="quiet line">${address}</span></th>
    <td class="outbox">${fill(outboxBytes, outboxLimitBytes)}<span class="line">${bytes(outboxBytes)} <span class="quiet">of ${bytes(outboxLimitBytes)}</span></span></td>
    <td class="number">${count(droppedTotal)}</td>
    <td class="number wide">${count(deliveredTotal)}</td>
    <td class="number wide">${duration(hubNow() - connectedAt)}</td>
    <td class="why ${health(info, hubNow())}">${stateTag(info)} ${stateOf(info, hubNow())}</td>`
}

function stateTag(info: ConnectionInfo): TemplateResult | typeof nothing {
  const state = health(info, hubNow())
  if (state === 'well') return nothing
  return state === 'losing'
    ? html`<span class="tag bad">losing messages</span>`
    : html`<span class="tag warn">slow</span>`
}

/** The connections that ended most recently, and why. */
function endedLately({ value }: Polled<ConnectionsEnded>): TemplateResult | typeof nothing {
  if (!value || value.connections.length === 0) return nothing
  return html`<section><h2>Ended recently</h2><div class="panel table"><table class="worded" aria-label="Ended recently">
    <thead><tr><th scope="col" class="text client">Client</th><th scope="col" class="text outbox">Ended</th><th scope="col" class="number wide">Delivered</th>
      <th scope="col" class="number">Dropped</th><th scope="col" class="text why">Reason</th></tr></thead>
    <tbody>${repeat(
      value.connections.slice(0, MOST_ENDED),
      ({ connection }) => connection,
      ({ connection, client, address, endedAt, deliveredTotal, droppedTotal, reason }: EndedConnection) => html`<tr>
        <th scope="row" class="client"><a class="name" href=${href(['connections', connection])}>${connectionName({ client, connection })}</a><span class="quiet line">${address}</span></th>
        <td class="outbox">${moment(endedAt)}</td><td class="number wide">${count(deliveredTotal)}</td>
        <td class="number">${count(droppedTotal)}</td><td class="why">${reason}</td></tr>`,
    )}</tbody></table></div></section>`
}
