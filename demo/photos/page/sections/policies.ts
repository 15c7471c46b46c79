import { html, type TemplateResult } from 'lit'
import { button, card, said } from '../controls.ts'
import { ask } from '../hub.ts'
import { type Lane, lanes, pace, standing, startLanes, stopLanes } from '../lanes.ts'
import { changed } from '../store.ts'
import { count, counted } from '../text.ts'

const RATES = [100, 500, 1000] as const
const SECONDS = 10
const wish = { perSecond: 500 as number }

const STATES = {
  off: 'not connected yet',
  over: 'disconnected',
  connecting: 'connecting',
  connected: 'connected',
  waiting: 'reconnecting',
  closed: 'closed',
} as const

export function policies(): TemplateResult {
  return card('policies', {
    why: html`Six connections subscribe to the same topic; five of them read slowly. The hub keeps an outbox of limited
      size for each. When it is full, that subscriber’s policy decides: drop messages, pause, or disconnect. Each loss is
      reported to the subscriber as a <em>gap</em>, and a slow subscriber never slows down the others.`,
    look: html`the bars. In the first seconds the buffers fill, and all look alike. Then each policy acts in its own way.
      Move the slider to 0 ms to see who catches up.`,
    controls: html`<div class="controls">
        <label class="field"><span>Messages per second</span>
          <select @change=${chooseRate}>
            ${RATES.map((rate) => html`<option value=${rate} ?selected=${rate === wish.perSecond}>${rate}</option>`)}
          </select>
        </label>
        <label class="field range"><span>A slow reader takes <b>${pace.ms} ms</b> per message</span>
          <input type="range" min="0" max="100" step="5" .value=${String(pace.ms)} @input=${choosePace}>
        </label>
        ${button('race', `Send for ${SECONDS} seconds`, 'The readers connect…', race)}
        ${button('stop', 'Disconnect the readers', 'Disconnecting…', stop, 'plain')}
      </div>
      ${said('race', 'stop')}`,
    show: html`<ul class="legend parts" aria-hidden="true">
        <li class="read">Read</li><li class="dropped">Dropped</li><li class="behind">Not read yet</li>
      </ul>
      <ul class="lanes">${lanes.map(row)}</ul>`,
  })
}

function row(lane: Lane): TemplateResult {
  const { read, behind, dropped } = standing(lane)
  const title = lane.slow ? html`<code>${lane.title}</code>` : lane.title
  const words = `${counted(read, 'message')} read, ${count(behind)} not read yet, ${count(dropped)} dropped`
  return html`<li class="lane ${lane.slow ? '' : 'fast'}" data-lane=${lane.slow ? lane.policy : 'fast'}>
    <h3>${title} <span class="state ${lane.state}">${STATES[lane.state]}</span></h3>
    <p class="rule">${lane.rule}</p>
    ${
      lane.refusal
        ? html`<p class="refusal">${lane.refusal}</p>`
        : html`<div class="bar" role="img" aria-label=${words}>
            ${part('read', read)} ${part('dropped', dropped)} ${part('behind', behind)}
          </div>
          <dl>
            <div><dt>read</dt><dd class="received">${count(read)}</dd></div>
            <div><dt>not read yet</dt><dd class="behind">${count(behind)}</dd></div>
            <div class=${dropped > 0 ? 'lost' : ''}><dt>dropped</dt><dd class="gaps">${count(dropped)}</dd></div>
          </dl>
          <p class="reasons">${reasons(lane, dropped)}</p>`
    }
  </li>`
}

function part(kind: 'read' | 'behind' | 'dropped', messages: number): TemplateResult {
  return html`<span class=${kind} style="flex-grow: ${messages}"></span>`
}

/** The gaps that the hub has reported. */
function reasons({ gaps, disconnects, policy, received }: Lane, dropped: number): string {
  const parts = [...gaps].filter(([, n]) => n > 0).map(([reason, n]) => `${count(n)} by ${reason}`)
  if (gaps.has('disconnected')) parts.push('some while disconnected')
  if (parts.length > 0) {
    const closed = disconnects > 0 ? ` Disconnected ${counted(disconnects, 'time')}.` : ''
    return `Gaps: ${parts.join('; ')}.${closed}`
  }
  if (disconnects > 0) return `Disconnected ${counted(disconnects, 'time')}.`
  if (received === 0 || dropped > 0) return ''
  return policy === 'pause' ? 'No gap: the stream has everything.' : 'No gap.'
}

async function race(): Promise<string> {
  await startLanes()
  const { count: n } = await ask('stage.ticks.start', { perSecond: wish.perSecond, seconds: SECONDS })
  return `${counted(n, 'message')} are published in ${SECONDS} seconds.`
}

async function stop(): Promise<string> {
  await stopLanes()
  return 'The readers are disconnected.'
}

function chooseRate(event: Event): void {
  wish.perSecond = Number((event.target as HTMLSelectElement).value)
  changed()
}

function choosePace(event: Event): void {
  pace.ms = (event.target as HTMLInputElement).valueAsNumber
  changed()
}
