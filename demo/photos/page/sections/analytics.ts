import { html, type TemplateResult } from 'lit'
import { button, card, said } from '../controls.ts'
import { ask } from '../hub.ts'
import type { Line } from '../line-chart.ts'
import { onChange, store } from '../store.ts'
import { bytesText, count, counted } from '../text.ts'

const SERIES: readonly Line[] = [{ label: 'uploads per second', colour: '--chart-1', fill: true, steps: true }]

export function analytics(): TemplateResult {
  const { counters } = store
  return card('analytics', {
    why: html`These counters live only in the memory of a service. When it starts, it <em>replays</em> the stream from the
      first offset and arrives at the same numbers. The log is the truth, and state can always be rebuilt from it
      (<em>event sourcing</em>).`,
    look: 'the numbers before and after the restart, and how many messages were read again.',
    controls: html`<div class="controls">${button('analytics', 'Restart analytics', 'Restarting…', restart)}</div>
      ${said('analytics')}`,
    show: html`<div class="reserved">${
      counters ? figures(counters) : html`<p class="empty">Analytics has not published anything yet.</p>`
    }</div>`,
  })
}

function figures({
  uploaded,
  thumbnailed,
  bytes,
  byType,
  perSecond,
  rebuilt,
}: NonNullable<typeof store.counters>): TemplateResult {
  const now = Date.now() / 1000
  const times = perSecond.map((_, i) => now - (perSecond.length - 1 - i))
  const types = Object.entries(byType).map(([type, n]) => `${count(n)} ${type.replace('image/', '')}`)
  return html`<dl class="figures">
      <div><dt>uploaded</dt><dd id="uploaded">${count(uploaded)}</dd></div>
      <div><dt>thumbnailed</dt><dd>${count(thumbnailed)}</dd></div>
      <div><dt>total size</dt><dd>${bytesText(bytes)}</dd></div>
    </dl>
    <p class="muted">${types.length > 0 ? `By type: ${types.join(', ')}.` : 'Nothing was uploaded yet.'}</p>
    <p class="legend-line">Uploads per second, in the last minute</p>
    <line-chart class="consumers" role="img" aria-label="Uploads per second in the last minute, ${count(Math.max(0, ...perSecond))} at most"
      .series=${SERIES} .data=${[times, perSecond]}></line-chart>
    <p id="rebuilt">Rebuilt by ${rebuilt.worker} from ${counted(rebuilt.messages, 'message')} in ${count(rebuilt.tookMs)} ms.</p>`
}

/** Resolves when the new process has counted. */
async function restart(): Promise<string> {
  const before = store.counters
  await ask('stage.stop', { service: 'analytics' })
  const counted = new Promise<NonNullable<typeof before>>((resolve) => {
    const off = onChange(() => {
      const { counters } = store
      if (!counters || counters.rebuilt.worker === before?.rebuilt.worker) return
      off()
      resolve(counters)
    })
  })
  await ask('stage.start', { service: 'analytics' })
  const { uploaded } = await counted
  const more = uploaded - (before?.uploaded ?? 0)
  const told = more > 0 ? `${count(more)} of them since the restart` : 'as many as before'
  return `A new process has counted ${count(uploaded)} uploads, ${told}.`
}
