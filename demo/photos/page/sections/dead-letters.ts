import type { DeadLetter } from 'fanfare/browser'
import { html, nothing, type TemplateResult } from 'lit'
import { repeat } from 'lit/directives/repeat.js'
import type { Photo } from '../../contract.ts'
import { button, card, said } from '../controls.ts'
import { ask, client } from '../hub.ts'
import { photo } from '../photos.ts'
import { loadLetters, store } from '../store.ts'
import { clock, count, counted } from '../text.ts'
import { steps } from './drop.ts'

/** How many dead letters are listed, newest first. */
const LISTED = 20

/** The photo that this card follows: the last one uploaded or redriven here. */
let followed: string | undefined

export function deadLetters(): TemplateResult {
  const { letters } = store
  return card('dead-letters', {
    why: html`A corrupt photo fails at each attempt. The queue <em>retries</em> it after a growing wait
      (<em>backoff</em>). After three attempts this <em>poison message</em> moves to the <em>dead letters</em>, with its
      error, and no longer holds up the others. Repair it, then <em>redrive</em> it: it goes back to the queue.`,
    look: 'the waits between its attempts, the error in the dead letter, and what happens after the redrive.',
    controls: html`<div class="controls">
        ${button('corrupt', 'Upload a corrupt photo', 'Uploading…', corrupt)}
        ${button('redrive', 'Repair all and redrive', 'Repairing…', () => redrive(undefined), 'plain')}
      </div>
      ${said('corrupt', 'redrive', 'again')}`,
    show: html`<div class="story" id="followed" aria-live="polite">${
      followed === undefined
        ? html`<p class="empty">No corrupt photo has been uploaded here yet. Its journey appears here.</p>`
        : html`<h3>${photo(followed)?.photo.name ?? followed}</h3>${steps(followed)}`
    }</div>
    <h3>Dead letters</h3>
    <div class="reserved">${
      letters.length === 0
        ? html`<p class="empty">No dead letters.</p>`
        : html`<ul class="letters" aria-label="Dead letters">${repeat(letters.slice(-LISTED).reverse(), ({ letter }) => letter, row)}</ul>
          ${letters.length > LISTED ? html`<p class="muted">and ${count(letters.length - LISTED)} older ones</p>` : nothing}`
    }</div>`,
  })
}

function row(letter: DeadLetter): TemplateResult {
  const photo = letter.message.data as Photo
  return html`<li>
    <details>
      <summary><strong>${photo.name}</strong> <span class="muted">${counted(letter.attempts, 'attempt')}</span>
        <span class="error">${letter.error ?? 'no error was reported'}</span></summary>
      <dl>
        <dt>Came from</dt><dd>queue <code>${letter.origin}</code>, topic <code>${letter.message.topic}</code></dd>
        <dt>Dead-lettered</dt><dd>${clock(letter.diedAt)}, reason <code>${letter.reason}</code></dd>
        <dt>Message</dt><dd><pre tabindex="0" role="region" aria-label="The message">${JSON.stringify(photo, undefined, 2)}</pre></dd>
        <dt>Journey</dt><dd>${steps(photo.id)}</dd>
      </dl>
      <div class="controls">
        ${button('redrive', 'Repair and redrive', 'Repairing…', () => redrive(letter))}
        ${button('again', 'Redrive without repair', 'Redriving…', () => again(letter), 'plain')}
      </div>
    </details>
  </li>`
}

async function corrupt(): Promise<string> {
  const { name, photo } = await ask('stage.corrupt', {})
  followed = photo
  return `${name} is uploaded. It starts like a JPEG and ends in the middle.`
}

/** One, or all. */
async function redrive(letter: DeadLetter | undefined): Promise<string> {
  const id = letter && (letter.message.data as Photo).id
  const { mended } = await ask('stage.mend', id === undefined ? {} : { photo: id })
  const moved = await client.admin.queues.deadLetters.redrive('thumbnails', letter ? { letters: [letter.letter] } : {})
  followed = id ?? followed
  await shown()
  if (mended === 0 && moved === 0) return 'There is nothing to repair: no photo is among the dead letters.'
  return `${counted(mended, 'file')} repaired; ${counted(moved, 'photo')} back in the queue.`
}

/** A photo that is still broken fails again. */
async function again(letter: DeadLetter): Promise<string> {
  const moved = await client.admin.queues.deadLetters.redrive('thumbnails', { letters: [letter.letter] })
  followed = (letter.message.data as Photo).id
  await shown()
  if (moved === 0) return 'It is no longer among the dead letters.'
  return 'Back in the queue, but not repaired: it will be given up again.'
}

/** A letter that disappears takes the focus with it: the Tab key continues at the heading. */
async function shown(): Promise<void> {
  await loadLetters()
  document.getElementById('dead-letters-title')?.focus({ preventScroll: true })
}
