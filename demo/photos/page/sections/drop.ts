import { html, nothing, type TemplateResult } from 'lit'
import { repeat } from 'lit/directives/repeat.js'
import { card } from '../controls.ts'
import { journey } from '../photos.ts'
import { changed, store } from '../store.ts'
import { bytesText, clock, seconds } from '../text.ts'
import { type Upload, uploadFiles, uploads } from '../uploads.ts'

let over = false

/** Accepts files anywhere on the page: people paste a picture without looking for the place. */
export function listenForPaste(): void {
  document.addEventListener('paste', (event) => take(event.clipboardData?.files))
}

export function drop(): TemplateResult {
  const most = store.config ? ` of at most ${bytesText(store.config.maxUploadBytes)}` : ''
  return card('drop', {
    why: html`The upload service is a <em>publisher</em>. It checks the file's real type, stores the file and publishes one
      <em>message</em> to the <em>topic</em> <code>photos.uploaded</code>. It does not know who <em>subscribes</em> to that
      topic, and does not wait for them.`,
    look: 'the journey of each photo. Every step is the work of a different service, and they share only messages.',
    controls: html`<label class="dropzone ${over ? 'over' : ''}" @dragover=${dragOver} @dragleave=${dragLeave} @drop=${dropped}>
        <input type="file" multiple accept="image/jpeg,image/png,image/webp" @change=${chosen}>
        <strong>Drop photos here, paste them, or choose files</strong>
        <span>JPEG, PNG or WebP${most}; several at once are fine.</span>
      </label>`,
    show: html`<div class="reserved">${
      uploads.length === 0
        ? html`<p class="empty">Nothing has been uploaded from this tab yet. Its photos and their journeys appear here.</p>`
        : html`<ul class="uploads" tabindex="0" aria-label="Photos of this tab">${repeat(uploads, ({ key }) => key, row)}</ul>`
    }</div>`,
  })
}

function row(upload: Upload): TemplateResult {
  return html`<li class=${upload.state}>
    <span class="preview"><img src=${upload.preview} alt="" width="64" height="64" @error=${noPicture}></span>
    <div>
      <p class="name"><strong>${upload.name}</strong> <span class="muted">${bytesText(upload.bytes)}</span></p>
      ${upload.state === 'waiting' ? html`<p class="muted">Waiting: four files are sent at a time.</p>` : nothing}
      ${
        upload.state === 'sending'
          ? html`<progress max="1" .value=${upload.progress} aria-label="Upload of ${upload.name}"></progress>`
          : nothing
      }
      ${upload.state === 'refused' ? html`<p class="refusal" role="alert">${upload.refusal}</p>` : nothing}
      ${upload.photo ? steps(upload.photo.id) : nothing}
    </div>
  </li>`
}

/** What has happened to a photo, and when. */
export function steps(id: string): TemplateResult {
  const all = journey(id)
  const began = all[0]?.at ?? 0
  return html`<ol class="journey">${all.map(
    ({ kind, text, at }) =>
      html`<li class=${kind}><span class="what">${text}</span> <span class="when">${at === began ? clock(at) : `+${seconds(at - began)}`}</span></li>`,
  )}</ol>`
}

/** A file that is not a picture has no preview. */
function noPicture(event: Event): void {
  ;(event.target as HTMLElement).classList.add('broken')
}

function chosen(event: Event): void {
  const input = event.target as HTMLInputElement
  take(input.files)
  // So that the same file can be chosen again.
  input.value = ''
}

function dragOver(event: DragEvent): void {
  event.preventDefault()
  if (over) return
  over = true
  changed()
}

function dragLeave(): void {
  over = false
  changed()
}

function dropped(event: DragEvent): void {
  event.preventDefault()
  over = false
  take(event.dataTransfer?.files)
  changed()
}

function take(files: FileList | null | undefined): void {
  if (files) uploadFiles(files, store.config?.maxUploadBytes ?? Number.POSITIVE_INFINITY, changed)
}
