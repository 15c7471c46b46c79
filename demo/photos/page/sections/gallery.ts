import { html, nothing, type TemplateResult } from 'lit'
import { repeat } from 'lit/directives/repeat.js'
import { card } from '../controls.ts'
import { newest, type PhotoView, totals } from '../photos.ts'
import { counted } from '../text.ts'

/** Photos that are shown: however many come, the page stays small. */
const SHOWN = 36

export function gallery(): TemplateResult {
  const photos = newest(SHOWN)
  return card(
    'gallery',
    'Photos of everybody',
    html`Every tab reads the same log of photos from its beginning, so a new tab shows what came before it was opened.
      ${totals.uploaded > SHOWN ? html`The newest ${SHOWN} of ${counted(totals.uploaded, 'photo')} are shown.` : nothing}`,
    photos.length === 0
      ? html`<p class="empty">No photos yet. Drop some above, or let the spike below make a few hundred.</p>`
      : html`<ul class="tiles">${repeat(photos, ({ photo }) => photo.id, tile)}</ul>`,
  )
}

function tile({ photo, thumbnailed, moderated }: PhotoView): TemplateResult {
  const smallest = thumbnailed?.thumbnails[0]
  return html`<li>
    <div class="picture">
      ${
        smallest
          ? html`<a href=${photo.url} target="_blank" rel="noopener" aria-label="${photo.name}, at full size">
              <img src=${smallest.url} alt="" loading="lazy" width=${smallest.width} height=${smallest.height}>
            </a>`
          : html`<span class="waiting">queued</span>`
      }
      ${
        moderated
          ? html`<span class="badge ${moderated.verdict}" title=${moderated.why}>${moderated.verdict}</span>`
          : nothing
      }
    </div>
    <p title="${photo.name}, by ${photo.by}">${photo.name}</p>
  </li>`
}
