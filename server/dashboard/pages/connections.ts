import { html, type TemplateResult } from 'lit/html.js'
import type { ConnectionInfo, ConnectionsPage } from '../../../shared/sys.ts'
import { bytes, count, counted, duration } from '../format.ts'
import { model } from '../hub.ts'
import type { OpenPage } from '../page.ts'
import { empty, fill, heading } from '../parts.ts'
import { poll } from '../poll.ts'
import { missingRights } from '../rights.ts'
import { href, type Route } from '../route.ts'
import { health, whySlow } from '../slow.ts'
import { filtered, filterField, MOST_ROWS } from '../table.ts'

export const openConnections: OpenPage = (route) => {
  const from = route.query.get('from')
  if (from === null) return { title: 'Connections', view: () => connections(route, slowest(route)) }
  const page = poll<ConnectionsPage>('connections.list', { from: Number(from) || 0, limit: MOST_ROWS })
  return {
    title: 'Connections',
    view: () => connections(route, inOrder(route, page.value)),
    close: () => page.stop(),
  }
}

function connections(route: Route, content: TemplateResult): TemplateResult {
  const inOrder = route.query.has('from')
  return html`${heading('Connections', html`<p class="quiet">${counted(model.connections?.count ?? 0, 'connection')} open</p>`)}
    <nav class="choice" aria-label="Which connections">
      <a href=${href(['connections'])} aria-current=${inOrder ? 'false' : 'true'}>Those to look at first</a>
      <a href=${href(['connections'], { from: '0' })} aria-current=${inOrder ? 'true' : 'false'}>All, as they opened</a>
    </nav>
    ${filterField(route, 'Filter by client, address, pattern or queue')} ${content}`
}

function slowest(route: Route): TemplateResult {
  const all = model.connections?.slowest
  if (!all) return empty('Waiting for the hub', missingRights() ?? 'Its first figures come within a second.')
  const rest = (model.connections?.count ?? 0) - all.length
  return html`${table(filtered(all, route, words))}
    ${rest > 0 ? html`<p class="more">${count(rest)} more that give less cause to look at them: <a href=${href(['connections'], { from: '0' })}>all, as they opened</a>.</p>` : ''}`
}

function inOrder(route: Route, page: ConnectionsPage | undefined): TemplateResult {
  if (!page) return empty('Asking the hub', missingRights() ?? 'It will answer at once.')
  const next = page.connections.length < MOST_ROWS ? undefined : page.connections.at(-1)
  return html`${table(filtered(page.connections, route, words))}
    <nav class="pages" aria-label="Pages">
      ${route.query.get('from') === '0' ? '' : html`<a href=${href(['connections'], { from: '0' })}>First page</a>`}
      ${next ? html`<a href=${href(['connections'], { from: String(next.number + 1) })}>Next ${MOST_ROWS}</a>` : ''}
    </nav>`
}

function words({ client, connection, address, subscriptions, consumers }: ConnectionInfo): string {
  const patterns = subscriptions.map(({ pattern, policy }) => `${pattern} ${policy}`)
  return [client, connection, address, ...patterns, ...consumers.map(({ queue }) => queue)].join(' ')
}

function table(rows: readonly ConnectionInfo[]): TemplateResult {
  if (rows.length === 0) return empty('No connection has that about it', 'Try another filter.')
  return html`<div class="panel table"><table class="worded">
    <thead><tr>
      <th scope="col" class="text">Client</th><th scope="col" class="text outbox">Outbox</th><th scope="col" class="number wide">Lag</th>
      <th scope="col" class="number">Left out</th><th scope="col" class="number wide">Delivered</th>
      <th scope="col" class="text wide">Policies</th><th scope="col" class="text why">How it gets on</th>
    </tr></thead>
    <tbody>${rows.map(row)}</tbody>
  </table></div>`
}

function row(info: ConnectionInfo): TemplateResult {
  const { connection, client, address, outboxBytes, outboxLimitBytes, lagMs, droppedTotal, deliveredTotal } = info
  const state = health(info)
  return html`<tr class=${state}>
    <th scope="row"><a class="name" href=${href(['connections', connection])}>${client ?? connection}</a><span class="quiet line">${address}</span></th>
    <td class="outbox">${fill(outboxBytes, outboxLimitBytes)}<span class="line">${bytes(outboxBytes)} <span class="quiet">of ${bytes(outboxLimitBytes)}</span></span></td>
    <td class="number wide">${lagMs > 0 ? duration(lagMs) : '–'}</td>
    <td class="number">${count(droppedTotal)}</td>
    <td class="number wide">${count(deliveredTotal)}</td>
    <td class="wide">${policies(info)}</td>
    <td class="why">${whySlow(info)}</td>
  </tr>`
}

function policies({ subscriptions, consumerCount }: ConnectionInfo): string {
  const names = new Set<string>(subscriptions.map(({ policy }) => policy))
  if (names.size > 0) return [...names].join(', ')
  return consumerCount > 0 ? counted(consumerCount, 'consumer') : '–'
}
