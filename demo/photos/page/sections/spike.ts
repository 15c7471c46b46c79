import { html, type TemplateResult } from 'lit'
import { MAX_SPIKE } from '../../contract.ts'
import { choose } from '../actions.ts'
import { button, card, choice, said } from '../controls.ts'
import { ask } from '../hub.ts'
import type { Line } from '../line-chart.ts'
import { changed, store, workersOf } from '../store.ts'
import { count, counted } from '../text.ts'

const wish: { count: number | undefined } = { count: 500 }

const BACKLOG: readonly Line[] = [{ label: 'Backlog: unfinished photos', colour: '--chart-1', fill: true }]
const CONSUMERS: readonly Line[] = [
  { label: 'Busy consumers', colour: '--chart-2', steps: true },
  { label: 'Consumers wanted', colour: '--chart-3', steps: true, dashed: true },
]

const WORKERS = [
  { value: 'auto', label: 'auto' },
  { value: 1, label: '1' },
  { value: 2, label: '2' },
  { value: 4, label: '4' },
] as const

const SLOWNESS = [
  { value: 0, label: '0 ms' },
  { value: 200, label: '200 ms' },
  { value: 1000, label: '1 s' },
] as const

export function spike(): TemplateResult {
  const { scaling, slowness } = store
  return card('spike', {
    why: html`Uploads come faster than thumbnails are made. The <em>work queue</em> buffers them on disk, so no upload is
      slower and none is lost. Its workers are <em>competing consumers</em>: each photo goes to one of them, and more of
      them drain the queue faster. With <em>auto</em>, as many run as the hub says are wanted.`,
    look: 'the backlog rises and drains; the consumers follow it.',
    controls: html`<div class="controls">
        <label class="field"><span>Pictures (1 to ${count(MAX_SPIKE)})</span>
          <input type="number" min="1" max=${MAX_SPIKE} step="1" value=${wish.count ?? ''} aria-invalid=${wish.count === undefined} @input=${chooseCount}>
        </label>
        ${button('spike', `Upload ${wish.count === undefined ? 'pictures' : counted(wish.count, 'picture')}`, 'Pictures are made and uploaded…', upload)}
      </div>
      <div class="controls">
        ${choice('workers', 'Thumbnail workers', WORKERS, scaling?.workers as (typeof WORKERS)[number]['value'], scale)}
        ${choice('slow', 'Delay per thumbnail', SLOWNESS, slowness?.ms as (typeof SLOWNESS)[number]['value'], slow)}
      </div>
      ${said('spike', 'scale', 'slow')}`,
    show: html`${chart('backlog', BACKLOG, 'The backlog of the thumbnails queue in the last three minutes')}
      ${chart('consumers', CONSUMERS, 'Busy consumers and consumers wanted in the last three minutes')} ${now()}`,
  })
}

function chart(id: 'backlog' | 'consumers', lines: readonly Line[], label: string): TemplateResult {
  const { history } = store
  const times = history.map(({ at }) => at)
  const values =
    id === 'backlog'
      ? [history.map(({ depth }) => depth)]
      : [history.map(({ working }) => working), history.map(({ wanted }) => wanted)]
  return html`<ul class="legend" aria-hidden="true">${lines.map(
    ({ label, colour, dashed }) => html`<li class=${dashed ? 'dashed' : ''} style="--c: var(${colour})">${label}</li>`,
  )}</ul>
  <line-chart class=${id} role="img" aria-label=${label} .series=${lines} .data=${[times, ...values]}></line-chart>`
}

/** The charts in words. */
function now(): TemplateResult {
  const { thumbnailsQueue: queue, history } = store
  const peak = Math.max(0, ...history.map(({ depth }) => depth))
  const figure = (n: number | undefined) => (n === undefined ? '–' : count(n))
  return html`<dl class="figures">
    <div><dt>backlog now</dt><dd id="depth">${figure(queue && queue.depth + queue.inFlight)}</dd></div>
    <div><dt>highest</dt><dd id="peak">${figure(queue && peak)}</dd></div>
    <div><dt>acked per second</dt><dd>${figure(queue?.ackedPerSecond)}</dd></div>
    <div><dt>consumers wanted</dt><dd>${figure(queue?.wantedConsumers)}</dd></div>
    <div><dt>workers</dt><dd id="workers">${count(workersOf('thumbnails').filter(({ state }) => state === 'idle' || state === 'working').length)}</dd></div>
  </dl>`
}

function chooseCount(event: Event): void {
  const { valueAsNumber: n } = event.target as HTMLInputElement
  wish.count = Number.isInteger(n) && n >= 1 && n <= MAX_SPIKE ? n : undefined
  changed()
}

async function upload(): Promise<string> {
  if (wish.count === undefined) throw new Error(`Enter an integer from 1 to ${count(MAX_SPIKE)}.`)
  const { count: n } = await ask('stage.spike', { count: wish.count })
  return `${counted(n, 'picture')} ${n === 1 ? 'is' : 'are'} being uploaded.`
}

function scale(workers: number | 'auto'): void {
  void choose('scale', 'Asking…', async () => {
    const { workers: kept } = await ask('stage.scale', { workers })
    return kept === 'auto'
      ? 'The number of workers follows the hub’s wantedConsumers.'
      : `${counted(kept, 'worker')} will run, however large the backlog.`
  })
}

function slow(ms: number): void {
  void choose('slow', 'Asking…', async () => {
    const { ms: now } = await ask('stage.slow', { ms })
    return now === 0
      ? 'Thumbnails are made without a delay.'
      : `Each thumbnail takes ${count(now)} ms longer from now on.`
  })
}
