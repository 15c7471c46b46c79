import { html, nothing, type TemplateResult } from 'lit'
import { repeat } from 'lit/directives/repeat.js'
import { card } from '../controls.ts'
import { isGivenUp, newest, type PhotoView, photo, totals } from '../photos.ts'
import { changed, store, workersOf } from '../store.ts'
import { count, counted } from '../text.ts'

/** Number of photos shown, and of tiles from the start: 2, 3, 4 or 6 rows, depending on the page's width. */
const SHOWN = 24

/** The order of the tiles while the pointer or the keyboard focus is in the gallery: they do not move then. */
let held: readonly string[] | undefined
/** The tile that the Tab key leads to; the arrow keys lead to the others. */
let current: string | undefined

export function gallery(): TemplateResult {
  const busy = new Set(
    workersOf('thumbnails').flatMap(({ state, photo }) => (state === 'working' && photo ? [photo] : [])),
  )
  const all = newest().map((view) => ({ view, fate: fate(view, busy) }))
  const listed = all.filter(({ fate }) => fate !== 'queued').slice(0, SHOWN)
  const ids = held ?? listed.map(({ view }) => view.photo.id)
  const views = ids.map(photo).filter((view) => view !== undefined)
  const target = views.some(({ photo }) => photo.id === current) ? current : views[0]?.photo.id
  return card('gallery', {
    why: html`A <em>stream</em> is a log: it keeps every message, and each has an <em>offset</em>. Every tab reads the
      stream of photos from its first offset. That is <em>replay</em>: a new tab shows what was uploaded before it was
      opened.`,
    look: html`a second tab: it has the same photos at once. A photo that waits in the queue is counted, and appears here
      when a worker takes it.`,
    show: html`<p class="muted" id="gallery-state">${state(all, listed.length, ids)}</p>
      <ul class="tiles" aria-label="Photos, newest first; the arrow keys lead from one to the next"
        @keydown=${walk} @focusin=${hold} @focusout=${release} @pointerenter=${hold} @pointerleave=${release}>
        ${repeat(
          views,
          ({ photo }) => photo.id,
          (view) => tile(view, fate(view, busy), view.photo.id === target),
        )}
        ${Array.from({ length: SHOWN - views.length }, () => html`<li class="free" aria-hidden="true"><div class="picture"></div><p>&nbsp;</p></li>`)}
      </ul>`,
  })
}

type Fate = 'ready' | 'given up' | 'in progress' | 'queued' | 'no thumbnail'

function fate({ photo, at, thumbnailed }: PhotoView, busy: ReadonlySet<string>): Fate {
  if (thumbnailed) return 'ready'
  if (isGivenUp(photo.id)) return 'given up'
  if (busy.has(photo.id)) return 'in progress'
  // A dead letter that was purged, or that the page has not loaded: nothing is pending for it.
  return hasBeenEmptySince(at) ? 'no thumbnail' : 'queued'
}

/** The queue has been empty for some seconds after this time. */
function hasBeenEmptySince(time: number): boolean {
  const last = store.history.slice(-3)
  return last.length === 3 && last.every(({ at, depth }) => depth === 0 && at * 1000 > time + 1000)
}

function state(all: readonly { fate: Fate }[], listed: number, ids: readonly string[]): string {
  if (totals.uploaded === 0) return 'No photos yet. Drop some above, or let the spike below make a few hundred.'
  const queued = all.filter(({ fate }) => fate === 'queued').length
  const shown = `${listed < totals.uploaded - queued ? `The newest ${listed}` : count(ids.length)} of ${counted(totals.uploaded, 'photo')}`
  const parts = [
    queued > 0 ? `${count(queued)} in the queue` : '',
    held ? 'they keep their places while you are here' : '',
  ]
  return [shown, ...parts.filter((part) => part !== '')].join('; ')
}

function tile({ photo, thumbnailed, moderated }: PhotoView, fate: Fate, isTarget: boolean): TemplateResult {
  const smallest = thumbnailed?.thumbnails[0]
  const verdict = moderated ? `, ${moderated.verdict}: ${moderated.why}` : ''
  const tabindex = isTarget ? 0 : -1
  return html`<li data-photo=${photo.id}>
    <div class="picture">
      ${
        smallest
          ? html`<a href=${photo.url} target="_blank" rel="noopener" tabindex=${tabindex} aria-label="${photo.name}, at full size${verdict}">
              <img src=${smallest.url} alt="" loading="lazy" width=${smallest.width} height=${smallest.height}>
            </a>`
          : fate === 'given up'
            ? html`<a class="waiting bad" href="#dead-letters" tabindex=${tabindex} aria-label="${photo.name}, given up: see the dead letters">given up</a>`
            : html`<a class="waiting" href=${photo.url} target="_blank" rel="noopener" tabindex=${tabindex} aria-label="${photo.name}, ${fate}">${fate}</a>`
      }
      ${moderated ? badge(moderated) : nothing}
    </div>
    <p title="${photo.name}, by ${photo.by}">${photo.name}</p>
  </li>`
}

function badge({ verdict, why }: NonNullable<PhotoView['moderated']>): TemplateResult {
  return verdict === 'flagged'
    ? html`<span class="badge flagged" title=${why}>flagged</span>`
    : html`<span class="badge approved" title="Approved: ${why}"><span aria-hidden="true">✓</span><span class="unseen">approved</span></span>`
}

function tiles(list: Element): HTMLElement[] {
  return [...list.querySelectorAll<HTMLElement>('li[data-photo] a')]
}

function hold(event: Event): void {
  // With touch, no event tells when the finger is gone.
  if (event instanceof PointerEvent && event.pointerType === 'touch') return
  const list = event.currentTarget as HTMLElement
  held ??= tiles(list).map(idOf)
  if (event instanceof FocusEvent) current = idOf(event.target as HTMLElement)
  changed()
}

function release(event: Event): void {
  const list = event.currentTarget as HTMLElement
  const isLeft = event instanceof FocusEvent && !list.contains(event.relatedTarget as Node | null)
  const isHeld = event instanceof FocusEvent ? list.matches(':hover') : list.contains(document.activeElement)
  if ((event instanceof FocusEvent && !isLeft) || isHeld) return
  held = undefined
  changed()
}

function idOf(tile: HTMLElement): string {
  return tile.closest<HTMLElement>('[data-photo]')?.dataset['photo'] ?? ''
}

/** Arrow keys move from tile to tile, Home and End to the first and the last. */
function walk(event: KeyboardEvent): void {
  const list = event.currentTarget as HTMLElement
  const all = tiles(list)
  const at = all.indexOf(event.target as HTMLElement)
  const columns = getComputedStyle(list).gridTemplateColumns.split(' ').length
  const ways: Record<string, number> = {
    ArrowLeft: at - 1,
    ArrowRight: at + 1,
    ArrowUp: at - columns,
    ArrowDown: at + columns,
    Home: 0,
    End: all.length - 1,
  }
  const next = all[ways[event.key] ?? -1]
  if (!next) return
  event.preventDefault()
  next.focus()
}
