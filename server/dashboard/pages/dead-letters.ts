import { repeat } from 'lit/directives/repeat.js'
import { html, nothing, type TemplateResult } from 'lit/html.js'
import type { DeadLetter, DeadLetterCount, DeadLetterFilter, QueueInfo } from '../../../shared/queues.ts'
import { act, canAct } from '../acts.ts'
import { confirmed } from '../confirm.ts'
import { count, counted, firstLine, isolated } from '../format.ts'
import { client } from '../hub.ts'
import { errorText, notice, tell } from '../notices.ts'
import type { OpenPage } from '../page.ts'
import { deleted, empty, heading, moment, unanswered } from '../parts.ts'
import { type Polled, poll } from '../poll.ts'
import { href, type PageRoute, setQuery } from '../route.ts'
import { invalidate } from '../schedule.ts'
import { insideLetter } from './letter.ts'
import { Letters, PAGE, REASONS } from './letters.ts'

/** The state of the page. */
interface OpenLetters {
  readonly name: string
  readonly route: PageRoute
  readonly letters: Letters
  readonly queue: Polled<QueueInfo>
  perSecond: string
  busy: boolean
}

/** The dead letters that an action applies to. */
interface Chosen {
  readonly filter: DeadLetterFilter
  /** Their number and selection, for the confirmation. */
  readonly words: string
}

export const openDeadLetters: OpenPage = (route) => {
  const name = route.rest[0] ?? ''
  const queue = poll<QueueInfo>('queues.show', { name })
  const open: OpenLetters = { name, route, letters: new Letters(name, route), queue, perSecond: '', busy: false }
  return {
    title: `Dead letters of ${name}`,
    view: () => deadLetters(open),
    close() {
      open.letters.close()
      queue.stop()
    },
  }
}

function deadLetters(open: OpenLetters): TemplateResult {
  const { name, letters, queue } = open
  const { value, gone } = queue
  const total = gone ? undefined : value?.deadLetters
  letters.refresh(queue.value)
  return html`<p class="back"><a href=${href(['queues'])}>Queues</a> / <a class="name" href=${href(['queues', name])}>${name}</a></p>
    ${heading('Dead letters', html`<p class="quiet">${total === undefined ? '' : `${counted(total, 'message')}`}</p>`)}
    ${value && gone ? deleted('queue') : html`${filters(open)} ${actions(open)} ${list(open)}`}`
}

function list(open: OpenLetters): TemplateResult {
  const { letters } = open
  if (letters.error !== undefined || !letters.letters) return unanswered(letters.error)
  const rows = letters.arranged()
  if (rows.length === 0) {
    return letters.isFiltered
      ? empty('No dead letter matches the filter', 'Try another filter.')
      : empty('No dead letters', 'All messages of this queue have been handled or are still waiting.')
  }
  return html`<label class="inline select-all"><input type="checkbox" .checked=${letters.allSelected} @change=${(event: Event) => letters.selectAll((event.target as HTMLInputElement).checked)} /> <span>Select all on this page</span></label>
    <ol class="letters panel">${repeat(
      rows,
      ({ row }) => row.letter,
      ({ row, isPast }) => letter(open, row, isPast),
    )}</ol>
    <nav class="pages" aria-label="Pages">
      <button ?disabled=${letters.page === 1} @click=${() => turn(() => letters.previous())}>Previous ${PAGE}</button>
      <span class="quiet">Page ${letters.page}</span>
      <button ?disabled=${!letters.hasMore} @click=${() => turn(() => letters.next())}>Next ${PAGE}</button>
    </nav>`
}

/** Goes to another page of the list and scrolls to its top. */
function turn(go: () => void): void {
  go()
  scrollTo(0, 0)
}

function filters({ route, letters }: OpenLetters): TemplateResult {
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
    ${text('error', 'Error contains', 'text')} ${text('topic', 'Topic or pattern', 'photos.#')} ${text('key', 'Key', 'exact key')}
  </form>`
}

function actions(open: OpenLetters): TemplateResult {
  const { letters, busy } = open
  const some = letters.selected.size
  const none = busy || !canAct() || !letters.letters?.length
  const words = some > 0 ? `${count(some)} selected` : letters.isFiltered ? 'all matching' : 'all'
  return html`<div class="row actions">
    <button class="main" ?disabled=${none} @click=${() => redrive(open)}>${busy ? 'Redriving…' : `Redrive ${words}…`}</button>
    <label class="inline"><span>Rate limit</span><input
      class="short" inputmode="decimal" placeholder="no limit" aria-label="Rate limit, messages per second" autocomplete="off" .value=${open.perSecond}
      @input=${(event: Event) => {
        open.perSecond = (event.target as HTMLInputElement).value
        invalidate()
      }} /><span>per second</span></label>
    ${perSecondOf(open) === undefined ? html`<span class="error" role="alert">Enter a number greater than 0, or leave this empty.</span>` : nothing}
    <button class="danger" ?disabled=${none} @click=${() => purge(open)}>Purge ${words}…</button>
    ${some > 0 ? html`<button class="plain" @click=${() => letters.selectAll(false)}>Clear selection</button>` : nothing}
  </div>`
}

/** 0 for no limit; undefined if the input is not a rate. */
function perSecondOf({ perSecond }: OpenLetters): number | undefined {
  const text = perSecond.trim()
  return text === '' ? 0 : Number(text) > 0 && Number.isFinite(Number(text)) ? Number(text) : undefined
}

function letter(open: OpenLetters, dead: DeadLetter, isPast: boolean): TemplateResult {
  const { letters } = open
  const { letter, message, reason, error } = dead
  const isOpen = letters.open.has(letter)
  return html`<li class=${isPast ? 'past' : ''}>
    <div class="letter">
      <input type="checkbox" aria-label="Select dead letter ${letter}" ?disabled=${isPast} .checked=${letters.selected.has(letter)} @change=${() => toggle(letters.selected, letter)} />
      <button class="plain summary" aria-expanded=${isOpen} @click=${() => toggle(letters.open, letter)}>
        <span class="line"><span class="name">${message.topic}</span></span>
        <span class="line error">${error === undefined ? REASONS[reason] : firstLine(error)}</span>
        <span class="line quiet">${summary(dead)}</span>
      </button>
      ${isPast ? html`<span class="quiet">gone</span>` : html`<button ?disabled=${open.busy || !canAct()} aria-label="Redrive dead letter ${letter}" @click=${() => redriveOne(open, letter)}>Redrive</button>`}
    </div>
    ${isOpen ? insideLetter(dead) : nothing}
  </li>`
}

function summary({ letter, reason, error, attempts, diedAt }: DeadLetter): TemplateResult {
  const parts = [...(error === undefined ? [] : [REASONS[reason]]), counted(attempts, 'attempt')]
  return html`${parts.join(', ')}, ${moment(diedAt)}, #${letter}`
}

function toggle(set: Set<number>, letter: number): void {
  if (!set.delete(letter)) set.add(letter)
  invalidate()
}

/** The selected dead letters, or those that match the filter; undefined if the hub cannot count them. */
async function chosen({ name, letters }: OpenLetters): Promise<Chosen | undefined> {
  if (letters.selected.size > 0) {
    const selected = [...letters.selected]
    return { filter: { letters: selected }, words: counted(selected.length, 'selected dead letter') }
  }
  const { filter, isFiltered } = letters
  try {
    const answer = await client.call('deadLetters.count', { name, filter })
    const { count, through } = answer as DeadLetterCount
    const matching = isFiltered ? ` (all that match the filter: ${filterText(filter)})` : ' (all of this queue)'
    // Excludes messages that are dead-lettered while the confirmation is open.
    const counting = { ...filter, ...(through === undefined ? { letters: [] } : { through }) }
    return { filter: counting, words: `${counted(count, 'dead letter')}${matching}` }
  } catch (error) {
    notice(errorText(error), true)
    return undefined
  }
}

function filterText({ reason, error, topic, key }: DeadLetterFilter): string {
  const parts = [
    reason && `reason: ${REASONS[reason]}`,
    error && `error contains "${isolated(error)}"`,
    topic && `topic ${topic}`,
    key && `key ${isolated(key)}`,
  ]
  return parts.filter(Boolean).join('; ')
}

async function redrive(open: OpenLetters): Promise<void> {
  const perSecond = perSecondOf(open)
  const some = perSecond === undefined ? undefined : await chosen(open)
  if (!some) return
  const yes = await confirmed({
    title: `Redrive into ${open.name}?`,
    text: `${some.words} will be moved back into the queue as new messages${perSecond ? `, ${perSecond} per second` : ''}.`,
    verb: 'Redrive',
  })
  if (yes) await move(open, some.filter, perSecond ?? 0)
}

async function redriveOne(open: OpenLetters, letter: number): Promise<void> {
  await move(open, { letters: [letter] }, 0)
}

async function move(open: OpenLetters, filter: DeadLetterFilter, perSecond: number): Promise<void> {
  const { name, letters } = open
  open.busy = true
  invalidate()
  const asked = act((hub) => hub.queues.deadLetters.redrive(name, filter, perSecond > 0 ? { perSecond } : {}))
  await tell(asked, (n) => `${counted(n, 'message')} redriven into ${name}.`)
  open.busy = false
  if (filter.letters?.length !== 1) letters.release()
  letters.selected.clear()
  await letters.load()
}

async function purge(open: OpenLetters): Promise<void> {
  const { name, letters } = open
  const some = await chosen(open)
  if (!some) return
  const yes = await confirmed({
    title: `Purge dead letters of ${name}?`,
    text: `${some.words} will be deleted with their payloads and errors. This cannot be undone.`,
    verb: 'Purge',
    ...(some.filter.letters === undefined && { typed: name }),
  })
  if (!yes) return
  await tell(
    act((hub) => hub.queues.deadLetters.purge(name, some.filter)),
    (n) => `${counted(n, 'dead letter')} of ${name} purged.`,
  )
  letters.release()
  letters.selected.clear()
  await letters.load()
}
