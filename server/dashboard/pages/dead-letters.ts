import { html, nothing, type TemplateResult } from 'lit/html.js'
import type { DeadLetter, DeadLetterFilter } from '../../../shared/queues.ts'
import { act, canAct } from '../acts.ts'
import { confirmed } from '../confirm.ts'
import { clock, count, counted } from '../format.ts'
import { model } from '../hub.ts'
import { notice, tell } from '../notices.ts'
import type { OpenPage } from '../page.ts'
import { empty, facts, heading } from '../parts.ts'
import { href, type Route, setQuery } from '../route.ts'
import { invalidate } from '../schedule.ts'
import { Letters, PAGE, REASONS } from './letters.ts'

/** What is open of a queue's dead letters. */
interface Open {
  readonly name: string
  readonly route: Route
  readonly letters: Letters
  perSecond: string
  busy: boolean
}

export const openDeadLetters: OpenPage = (route) => {
  const name = route.rest[0] ?? ''
  const open: Open = { name, route, letters: new Letters(name, route), perSecond: '', busy: false }
  return { title: `Dead letters of ${name}`, view: () => deadLetters(open), close: () => open.letters.close() }
}

function deadLetters(open: Open): TemplateResult {
  const { name, letters } = open
  letters.refresh()
  const total = model.queues.get(name)?.info.deadLetters
  return html`<p class="back"><a href=${href(['queues'])}>Queues</a> / <a class="name" href=${href(['queues', name])}>${name}</a></p>
    ${heading('Dead letters', html`<p class="quiet">${total === undefined ? '' : `${counted(total, 'message')} that nobody could handle`}</p>`)}
    ${filters(open)} ${actions(open)}
    ${
      letters.error !== undefined
        ? empty('The hub does not list them', letters.error)
        : !letters.letters
          ? empty('Asking the hub', 'It will answer at once.')
          : letters.letters.length === 0
            ? letters.isFiltered
              ? empty('No dead letter meets the filter', 'Try another one.')
              : empty('No dead letters', 'Every message of this queue was done, or still waits.')
            : html`<ol class="letters panel">${letters.letters.map((each) => letter(open, each))}</ol>
              <nav class="pages" aria-label="Pages">
                <button ?disabled=${letters.page === 1} @click=${() => letters.previous()}>Previous ${PAGE}</button>
                <span class="quiet">Page ${letters.page}</span>
                <button ?disabled=${!letters.hasMore} @click=${() => letters.next()}>Next ${PAGE}</button>
              </nav>`
    }`
}

function filters({ route, letters }: Open): TemplateResult {
  const set = (event: Event) => {
    const { name, value } = event.target as HTMLInputElement
    setQuery(route, name, value)
    letters.filterChanged()
  }
  const text = (name: string, label: string, placeholder: string) =>
    html`<label><span>${label}</span><input type="search" name=${name} placeholder=${placeholder} spellcheck="false" .value=${route.query.get(name) ?? ''} @input=${set} /></label>`
  return html`<form class="row" aria-label="Filter" @submit=${(event: Event) => event.preventDefault()}>
    <label><span>Reason</span><select name="reason" @change=${set}>
      <option value="">any</option>
      ${Object.entries(REASONS).map(([reason, words]) => html`<option value=${reason} ?selected=${route.query.get('reason') === reason}>${words}</option>`)}
    </select></label>
    ${text('error', 'Error has', 'text')} ${text('topic', 'Topic', 'photos.#')} ${text('key', 'Key', 'exactly')}
  </form>`
}

function actions(open: Open): TemplateResult {
  const { letters, busy, name } = open
  const some = letters.selected.size
  const none = busy || !canAct() || !letters.letters?.length
  const which: DeadLetterFilter = some > 0 ? { letters: [...letters.selected] } : letters.filter
  const words = some > 0 ? `${count(some)} selected` : letters.isFiltered ? 'all that meet the filter' : 'all'
  return html`<div class="row actions">
    <button class="main" ?disabled=${none} @click=${() => redrive(open, which, words)}>${busy ? 'Redriving…' : `Redrive ${words}`}</button>
    <label class="inline"><span>at most</span><input
      class="short" inputmode="decimal" placeholder="no limit" aria-label="Messages a second" autocomplete="off" .value=${open.perSecond}
      @input=${(event: Event) => {
        open.perSecond = (event.target as HTMLInputElement).value
      }} /><span>a second</span></label>
    <button class="danger" ?disabled=${none} @click=${() => purge(name, letters, which, words)}>Purge ${words}…</button>
    ${
      some > 0
        ? html`<button class="plain" @click=${() => {
            letters.selected.clear()
            invalidate()
          }}>Select none</button>`
        : nothing
    }
  </div>`
}

function letter(open: Open, dead: DeadLetter): TemplateResult {
  const { letters } = open
  const { letter, message, reason, error, attempts, diedAt } = dead
  const isOpen = letters.open.has(letter)
  return html`<li>
    <div class="letter">
      <input type="checkbox" aria-label="Select letter ${letter}" .checked=${letters.selected.has(letter)} @change=${() => toggle(letters.selected, letter)} />
      <button class="plain summary" aria-expanded=${isOpen} @click=${() => toggle(letters.open, letter)}>
        <span class="line"><span class="name">${message.topic}</span> <span class="quiet">#${letter}</span></span>
        <span class="line error">${error ?? REASONS[reason]}</span>
        <span class="line quiet">${REASONS[reason]}, ${counted(attempts, 'attempt')}, ${clock(diedAt)}</span>
      </button>
      <button ?disabled=${open.busy || !canAct()} aria-label="Redrive letter ${letter}" @click=${() => redrive(open, { letters: [letter] }, `letter ${letter}`)}>Redrive</button>
    </div>
    ${isOpen ? inside(dead) : nothing}
  </li>`
}

function inside({ message, reason, error, attempts, publishedAt, diedAt, origin }: DeadLetter): TemplateResult {
  const headers = Object.entries(message.headers ?? {}).map(([name, value]) => `${name}: ${value}`)
  const data = message.base64 === undefined ? JSON.stringify(message.data, null, 2) : message.base64
  return html`<div class="inside">
    ${facts([
      ['Error', error ?? 'none was given'],
      ['Reason', `${REASONS[reason]}, after ${counted(attempts, 'attempt')}`],
      ['Published', clock(publishedAt)],
      ['Died', clock(diedAt)],
      ['From the queue', html`<span class="name">${origin}</span>`],
      ['Id', html`<span class="name">${message.id}</span>`],
      ...(message.key === undefined ? [] : ([['Key', html`<span class="name">${message.key}</span>`]] as const)),
      ...(headers.length === 0 ? [] : ([['Headers', headers.join(', ')]] as const)),
    ])}
    <p class="quiet">${message.base64 === undefined ? 'Payload' : 'Payload: bytes, as base64'}</p>
    <pre tabindex="0">${data ?? 'none'}</pre>
  </div>`
}

function toggle(set: Set<number>, letter: number): void {
  if (!set.delete(letter)) set.add(letter)
  invalidate()
}

async function redrive(open: Open, which: DeadLetterFilter, words: string): Promise<void> {
  const { name, letters } = open
  const text = open.perSecond.trim()
  const perSecond = Number(text)
  if (text !== '' && !(perSecond > 0)) return notice('How many a second has to be a number above 0.', true)
  open.busy = true
  invalidate()
  const asked = act((hub) => hub.queues.deadLetters.redrive(name, which, text === '' ? {} : { perSecond }))
  await tell(asked, (n) => `${counted(n, 'message')} redriven into ${name} (${words}).`)
  open.busy = false
  letters.selected.clear()
  await letters.load()
}

async function purge(name: string, letters: Letters, which: DeadLetterFilter, words: string): Promise<void> {
  const yes = await confirmed({
    title: `Purge dead letters of ${name}?`,
    text: `What goes: ${words}. Payloads and errors are deleted, and that cannot be undone.`,
    verb: 'Purge',
    ...(which.letters === undefined && { typed: name }),
  })
  if (!yes) return
  await tell(
    act((hub) => hub.queues.deadLetters.purge(name, which)),
    (n) => `${counted(n, 'dead letter')} of ${name} purged.`,
  )
  letters.selected.clear()
  await letters.load()
}
