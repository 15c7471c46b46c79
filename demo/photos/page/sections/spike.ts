import { html, type TemplateResult } from 'lit'
import { choose } from '../actions.ts'
import { button, card, choice, said } from '../controls.ts'
import { ask } from '../hub.ts'
import type { ChartData, Line } from '../line-chart.ts'
import { changed, store, workersOf } from '../store.ts'
import { count, counted } from '../text.ts'

const wish = { count: 500 }

const SERIES: readonly Line[] = [
  { label: 'photos to do', colour: '--chart-1', fill: true },
  { label: 'workers at work', colour: '--chart-2', axis: 'right', steps: true },
  { label: 'consumers wanted', colour: '--chart-3', axis: 'right', steps: true },
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
  return card(
    'spike',
    'A spike of uploads',
    html`Uploads come faster than thumbnails are made. The queue holds what waits, on the disk, so no upload is slower and
      none is lost; the hub says how many consumers it would take, and with <em>auto</em> so many are started.`,
    html`<div class="controls">
        <label class="field">Pictures
          <input type="number" min="1" max="2000" step="1" .value=${String(wish.count)} @input=${chooseCount}>
        </label>
        ${button('spike', `Upload ${counted(wish.count, 'picture')}`, 'Pictures are made and uploaded…', upload)}
        ${choice('workers', 'Thumbnail workers', WORKERS, scaling?.workers as (typeof WORKERS)[number]['value'], scale)}
        ${choice('slow', 'Each thumbnail takes longer by', SLOWNESS, slowness?.ms as (typeof SLOWNESS)[number]['value'], slow)}
      </div>
      ${said('spike', 'scale', 'slow')}
      <ul class="legend" aria-hidden="true">${SERIES.map(({ label, colour }) => html`<li style="--c: var(${colour})">${label}</li>`)}</ul>
      <line-chart role="img" aria-label="The queue of thumbnails in the last three minutes" .series=${SERIES} .data=${data()}></line-chart>
      ${now()}`,
  )
}

/** The chart in words. */
function now(): TemplateResult {
  const { thumbnailsQueue: queue, history } = store
  if (!queue) return html`<p class="empty">The hub tells once a second how its queues are. Nothing was heard yet.</p>`
  const peak = Math.max(...history.map(({ depth }) => depth))
  const workers = workersOf('thumbnails').filter(({ state }) => state === 'idle' || state === 'working').length
  return html`<dl class="figures">
    <div><dt>to do now</dt><dd id="depth">${count(queue.depth + queue.inFlight)}</dd></div>
    <div><dt>highest seen</dt><dd id="peak">${count(peak)}</dd></div>
    <div><dt>done a second</dt><dd>${count(queue.ackedPerSecond)}</dd></div>
    <div><dt>consumers wanted</dt><dd>${count(queue.wantedConsumers)}</dd></div>
    <div><dt>workers</dt><dd id="workers">${count(workers)}</dd></div>
  </dl>`
}

function data(): ChartData {
  const { history } = store
  return [
    history.map(({ at }) => at),
    history.map(({ depth }) => depth),
    history.map(({ working }) => working),
    history.map(({ wanted }) => wanted),
  ]
}

function chooseCount(event: Event): void {
  const { valueAsNumber } = event.target as HTMLInputElement
  if (!(valueAsNumber >= 1 && valueAsNumber <= 2000)) return
  wish.count = Math.round(valueAsNumber)
  changed()
}

async function upload(): Promise<string> {
  const { count } = await ask('stage.spike', { count: wish.count })
  return `${counted(count, 'picture')} are on their way through the upload service.`
}

function scale(workers: number | 'auto'): void {
  void choose('scale', 'Asking…', async () => {
    const { workers: kept } = await ask('stage.scale', { workers })
    return kept === 'auto'
      ? 'As many workers are kept as the hub says are wanted.'
      : `${counted(kept, 'worker')} kept, whatever waits.`
  })
}

function slow(ms: number): void {
  void choose('slow', 'Asking…', async () => {
    await ask('stage.slow', { ms })
    return ms === 0
      ? 'Thumbnails are made as fast as they can be.'
      : `Each thumbnail takes ${ms} ms longer from now on.`
  })
}
