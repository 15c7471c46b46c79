import { repeat } from 'lit/directives/repeat.js'
import { html, nothing, type TemplateResult } from 'lit/html.js'
import type { NodeStatus, NodesStatus } from '../../shared/sys.ts'
import { count, duration, percent, rate } from './format.ts'
import { hubNow, model } from './hub.ts'
import { type Polled, poll } from './poll.ts'

/** The hubs of a cluster. A single hub has none of it, and is not asked. */
export class NodesPanel {
  private polled: Polled<NodesStatus> | undefined = undefined

  /** Once there were other hubs the list stays: a hub that is cut off from them sees only itself. */
  view(): TemplateResult | typeof nothing {
    if ((model.hub?.nodes ?? 1) > 1) this.polled ??= poll<NodesStatus>('nodes.list', {})
    const status = this.polled?.value
    if (!status) return nothing
    return html`<section><h2>Hubs of the cluster</h2>
      ${status.cutOff ? html`<p class="level bad">This hub is cut off from the others, and sees only itself.</p>` : nothing}
      <div class="panel table"><table aria-label="Hubs of the cluster">
        <thead><tr>
          <th scope="col" class="text">Hub</th><th scope="col" class="text wide">Address</th><th scope="col" class="text wide">Version</th>
          <th scope="col" class="number">Connections</th><th scope="col" class="number">In/s</th>
          <th scope="col" class="number">Out/s</th><th scope="col" class="number wide">CPU</th>
          <th scope="col" class="number wide">Delay</th><th scope="col" class="number wide">Up for</th>
        </tr></thead>
        <tbody>${repeat(
          status.nodes,
          ({ id }) => id,
          (node) => html`<tr>${cells(node)}</tr>`,
        )}</tbody></table></div></section>`
  }

  close(): void {
    this.polled?.stop()
  }
}

function cells(node: NodeStatus): TemplateResult {
  const { id, name, self, address = '', version, connections, startedAt, cpu, eventLoopDelayMs } = node
  const { publishedPerSecond, deliveredPerSecond } = node
  const title = html`<th scope="row" class="name" title=${id}>${name} ${self ? html`<span class="tag">this hub</span>` : nothing}</th>`
  if (startedAt === undefined) return html`${title}<td colspan="8" class="quiet">does not answer now</td>`
  return html`${title}
    <td class="wide">${address}</td><td class="wide">${version}</td>
    <td class="number">${count(connections ?? 0)}</td>
    <td class="number">${rate(publishedPerSecond ?? 0)}</td>
    <td class="number">${rate(deliveredPerSecond ?? 0)}</td>
    <td class="number wide">${percent(cpu ?? 0)}</td>
    <td class="number wide">${duration(eventLoopDelayMs ?? 0)}</td>
    <td class="number wide">${duration(hubNow() - startedAt)}</td>`
}
