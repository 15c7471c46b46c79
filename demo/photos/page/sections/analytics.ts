import { html, type TemplateResult } from 'lit'
import { button, card, said } from '../controls.ts'
import { ask } from '../hub.ts'
import type { Line } from '../line-chart.ts'
import { onChange, store } from '../store.ts'
import { bytesText, count, counted } from '../text.ts'

const SERIES: readonly Line[] = [{ label: 'uploads a second', colour: '--chart-1', fill: true, steps: true }]

export function analytics(): TemplateResult {
  const { counters } = store
  return card(
    'analytics',
    'Analytics that forget, and remember',
    html`The counters live in the memory of the service alone. When it is started again it reads the log of photos from its
      beginning, and has the same numbers as before: the log is the truth, and they can always be made from it.`,
    html`<div class="controls">${button('analytics', 'Restart analytics', 'Restarting…', restart)}</div>
      ${said('analytics')}
      ${counters ? figures(counters) : html`<p class="empty">Analytics has not said anything yet.</p>`}`,
  )
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
      <div><dt>in all</dt><dd>${bytesText(bytes)}</dd></div>
    </dl>
    <p class="muted">${types.length > 0 ? `By type: ${types.join(', ')}.` : 'Nothing was uploaded yet.'}</p>
    <p class="legend-line">Uploads a second, in the last minute</p>
    <line-chart class="small" role="img" aria-label="Uploads a second in the last minute, ${count(Math.max(0, ...perSecond))} at most"
      .series=${SERIES} .data=${[times, perSecond]}></line-chart>
    <p id="rebuilt">Rebuilt from ${counted(rebuilt.messages, 'message')} in ${count(rebuilt.tookMs)} ms.</p>`
}

/** Resolves when the new process has counted. */
async function restart(): Promise<string> {
  await ask('stage.stop', { service: 'analytics' })
  const before = store.counters?.rebuilt
  const counted = new Promise<void>((resolve) => {
    const off = onChange(() => {
      const { rebuilt } = store.counters ?? {}
      if (!rebuilt || JSON.stringify(rebuilt) === JSON.stringify(before)) return
      off()
      resolve()
    })
  })
  await ask('stage.start', { service: 'analytics' })
  await counted
  return 'A new process counts, and says the same.'
}
