import { html, type TemplateResult } from 'lit'
import { repeat } from 'lit/directives/repeat.js'
import { button, card, said } from '../controls.ts'
import { ask } from '../hub.ts'
import { newest, type PhotoView, totals } from '../photos.ts'
import { store, workersOf } from '../store.ts'
import { count, counted } from '../text.ts'
import { isAlive } from './services.ts'

/** How many flagged photos are shown, newest first. */
const SHOWN = 4

export function moderation(): TemplateResult {
  const isRunning = workersOf('moderation').some(isAlive)
  return card('moderation', {
    why: html`A stream does not care when its subscribers arrive. Moderation flags photos that are almost black or of one
      colour. It starts from the first offset, works through everything that was uploaded before, and continues live. The
      hub keeps its <em>cursor</em> (Kafka: the offset of a <em>consumer group</em>), so it resumes after a stop.`,
    look: 'the other services: none of them changes or even notices.',
    controls: html`<div class="controls">
        ${
          isRunning
            ? button('moderation', 'Stop moderation', 'Stopping…', stop, 'plain')
            : button('moderation', 'Start moderation now', 'Starting…', start)
        }
      </div>
      ${said('moderation')}`,
    show: html`<p id="moderation-state">${place(isRunning)}</p>
      <div class="reserved">${progress()}</div>`,
  })
}

/** Whether it is running, has run or has never run. */
function place(isRunning: boolean): string {
  if (isRunning) return 'It is running.'
  return totals.moderated > 0 || store.progress ? 'It is stopped.' : 'It has not been started yet.'
}

function progress(): TemplateResult {
  const { moderated, flagged, uploaded } = totals
  if (moderated === 0) return html`<p class="empty">${counted(uploaded, 'photo')} in the stream, none judged yet.</p>`
  const { at, of } = store.progress ?? {}
  const shown = newest().filter((view) => view.moderated?.verdict === 'flagged')
  return html`<label class="progress">${count(moderated)} of ${counted(uploaded, 'photo')} judged, ${count(flagged)} flagged
      <progress max=${uploaded} .value=${moderated}></progress>
    </label>
    <p class="muted">${at === undefined || of === undefined ? '' : `Its cursor is at offset ${count(at)} of ${count(of)}.`}</p>
    <ul class="flags">${repeat(shown.slice(0, SHOWN), ({ photo }) => photo.id, flag)}</ul>`
}

function flag({ photo, thumbnailed, moderated }: PhotoView): TemplateResult {
  const smallest = thumbnailed?.thumbnails[0]
  return html`<li>
    <span class="preview">${smallest ? html`<img src=${smallest.url} alt="" width="64" height="64" loading="lazy">` : 'no picture'}</span>
    <span class="why-flagged"><strong>${photo.name}</strong> flagged. ${moderated?.why}</span>
  </li>`
}

async function start(): Promise<string> {
  await ask('stage.start', { service: 'moderation' })
  return 'Moderation has started.'
}

async function stop(): Promise<string> {
  await ask('stage.stop', { service: 'moderation' })
  return 'Moderation has stopped. When you start it again, it resumes at its cursor.'
}
