import type { DeadLetter } from 'fanfare/browser'
import { html, type TemplateResult } from 'lit'
import { repeat } from 'lit/directives/repeat.js'
import type { Photo } from '../../contract.ts'
import { button, card, said } from '../controls.ts'
import { ask, client } from '../hub.ts'
import { loadLetters, store } from '../store.ts'
import { counted } from '../text.ts'
import { steps } from './drop.ts'

export function deadLetters(): TemplateResult {
  const { letters } = store
  return card(
    'dead-letters',
    'A photo that breaks every worker',
    html`A corrupt photo fails at each attempt. After the last one it goes to the dead letters, with its error, so that it
      no longer holds up the others; once the cause is mended, it is put back into the queue (redriven).`,
    html`<div class="controls">
        ${button('corrupt', 'Upload a corrupt photo', 'Uploading…', corrupt)}
        ${button('redrive', 'Mend all and redrive', 'Mending…', () => redrive(undefined), 'plain')}
      </div>
      ${said('corrupt', 'redrive', 'again')}
      ${
        letters.length === 0
          ? html`<p class="empty">No dead letters: no photo was given up.</p>`
          : html`<ul class="letters" aria-label="Dead letters">${repeat(letters, ({ letter }) => letter, row)}</ul>`
      }`,
  )
}

function row(letter: DeadLetter): TemplateResult {
  const photo = letter.message.data as Photo
  return html`<li>
    <details>
      <summary><strong>${photo.name}</strong> <span class="muted">${counted(letter.attempts, 'attempt')}</span>
        <span class="error">${letter.error ?? 'no error was told'}</span></summary>
      <dl>
        <dt>Came from</dt><dd>the queue ${letter.origin}, on the topic ${letter.message.topic}</dd>
        <dt>Given up</dt><dd>${new Date(letter.diedAt).toLocaleTimeString()}, because: ${letter.reason}</dd>
        <dt>Message</dt><dd><pre tabindex="0" aria-label="The message">${JSON.stringify(photo, undefined, 2)}</pre></dd>
        <dt>Journey</dt><dd>${steps(photo.id)}</dd>
      </dl>
      <div class="controls">
        ${button('redrive', 'Mend it and redrive', 'Mending…', () => redrive(letter))}
        ${button('again', 'Redrive as it is', 'Redriving…', () => again(letter), 'plain')}
      </div>
    </details>
  </li>`
}

async function corrupt(): Promise<string> {
  const { name } = await ask('stage.corrupt', {})
  return `${name} is uploaded: it looks like a JPEG, and breaks in the middle. Its attempts fail now.`
}

/** One, or all. */
async function redrive(letter: DeadLetter | undefined): Promise<string> {
  const { mended } = await ask('stage.mend', {})
  const moved = await client.queues.deadLetters.redrive('thumbnails', letter ? { letters: [letter.letter] } : {})
  await shown()
  return `${counted(mended, 'file')} mended; ${counted(moved, 'photo')} back in the queue.`
}

/** What is broken still fails again. */
async function again(letter: DeadLetter): Promise<string> {
  await client.queues.deadLetters.redrive('thumbnails', { letters: [letter.letter] })
  await shown()
  return 'Back in the queue, but nothing was mended: it will be here again.'
}

/** A letter that goes takes the focus with it: whoever works by keyboard goes on at the heading. */
async function shown(): Promise<void> {
  await loadLetters()
  document.getElementById('dead-letters-title')?.focus()
}
