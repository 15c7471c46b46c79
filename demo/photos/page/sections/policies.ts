import { html, type TemplateResult } from 'lit'
import { button, card, said } from '../controls.ts'
import { ask } from '../hub.ts'
import { type Lane, lanes, pace, startLanes, stopLanes } from '../lanes.ts'
import { changed } from '../store.ts'
import { count, counted } from '../text.ts'

const RATES = [100, 500, 1000] as const
const SECONDS = 10
const wish = { perSecond: 500 as number }

export function policies(): TemplateResult {
  return card(
    'policies',
    'Slow readers, under each policy',
    html`Six connections read the same messages; five of them are slow. What exceeds a slow reader's outbox has to go
      somewhere, and its policy says what gives way. Whatever is left out is told, in its place, as a gap with its count:
      and a slow reader hurts nobody but itself.`,
    html`<div class="controls">
        <label class="field">Messages a second
          <select @change=${chooseRate}>
            ${RATES.map((rate) => html`<option value=${rate} ?selected=${rate === wish.perSecond}>${rate}</option>`)}
          </select>
        </label>
        <label class="field range"><span>A slow reader takes <b>${pace.ms} ms</b> for each message</span>
          <input type="range" min="0" max="100" step="5" .value=${String(pace.ms)} @input=${choosePace}>
        </label>
        ${button('race', `Send for ${SECONDS} seconds`, 'The readers connect…', race)}
        ${button('stop', 'Disconnect the readers', 'Disconnecting…', stop, 'plain')}
      </div>
      ${said('race', 'stop')}
      <ul class="lanes">${lanes.map(row)}</ul>`,
  )
}

function row(lane: Lane): TemplateResult {
  // The fast one has read what there is to read.
  const newest = Math.max(...lanes.map(({ latest }) => latest))
  const lost = [...lane.gaps.values()].reduce((sum, each) => sum + each, 0)
  // While a connection is cut nobody counts.
  const unknown = lane.gaps.has('disconnected')
  const title = lane.slow ? html`<code>${lane.title}</code>` : lane.title
  return html`<li class="lane ${lane.slow ? '' : 'fast'}" data-lane=${lane.slow ? lane.policy : 'fast'}>
    <h3>${title} <span class="state ${lane.state}">${lane.state === 'off' ? 'not started' : lane.state}</span></h3>
    <p class="rule">${lane.rule}</p>
    ${
      lane.refusal
        ? html`<p class="refusal">${lane.refusal}</p>`
        : html`<dl>
            <div><dt>read</dt><dd class="received">${count(lane.received)}</dd></div>
            <div><dt>newest read</dt><dd>${lane.received > 0 ? `no. ${count(lane.latest)}` : '–'}</dd></div>
            <div><dt>behind by</dt><dd class="behind">${lane.received > 0 ? count(newest - lane.latest) : '–'}</dd></div>
            <div class=${lost > 0 || unknown ? 'lost' : ''}><dt>left out</dt><dd class="gaps">${unknown ? 'unknown' : count(lost)}</dd></div>
          </dl>
          <p class="reasons">${reasons(lane)}</p>`
    }
  </li>`
}

function reasons({ gaps, disconnects, policy, slow, received }: Lane): string {
  const parts = [...gaps].map(([reason, n]) =>
    n > 0 ? `${count(n)} by ${reason}` : `an unknown number while ${reason}`,
  )
  if (disconnects > 0) parts.push(`hung up on ${counted(disconnects, 'time')}`)
  if (parts.length > 0) return `Gaps: ${parts.join('; ')}.`
  if (received === 0) return ''
  return slow && policy === 'pause' ? 'No gap: the log has everything.' : 'No gap.'
}

async function race(): Promise<string> {
  await startLanes()
  const { count: n } = await ask('stage.ticks.start', { perSecond: wish.perSecond, seconds: SECONDS })
  return `${count(n)} messages go out in ${SECONDS} seconds. Move the slider, and see who catches up.`
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
